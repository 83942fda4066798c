"""Past calls and the state of the server in the console: what was said, every millisecond, the verdict, and who may see it."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect
from tests.kit.browser import browser_page, needs_browser

from agentvoicebox.cli.local_server import LocalServer

pytestmark = [pytest.mark.requirement("C6"), needs_browser]

PATIENCE_MS = 45_000


async def typed_call(page: Page, server: LocalServer) -> str:
    """Ask for a parcel in writing, hang up; returns the session's id."""
    await page.goto(server.root_url)
    await page.get_by_role("combobox", name="Agent").select_option("delivery")
    await page.get_by_role("combobox", name="Microphone").select_option(label="Type only")
    await page.get_by_role("button", name="Call", exact=True).click()
    await expect(page.get_by_text("On the line")).to_be_visible(timeout=PATIENCE_MS)
    await page.get_by_label("Type a message").fill("Where is parcel PKG004?")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".line.agent").first).to_contain_text("out for delivery", timeout=PATIENCE_MS)
    await expect(page.get_by_text("from your request to")).to_be_visible(timeout=PATIENCE_MS)
    await page.get_by_role("button", name="Hang up").click()
    return await page.locator(".status a").inner_text()


async def test_a_past_call_shows_its_words_tool_waterfall_and_verdict_by_its_link(
    server: LocalServer, tmp_path: Path
) -> None:
    async with browser_page(tmp_path) as page:
        session_id = await typed_call(page, server)
        await page.get_by_role("link", name="Calls").click()
        row = page.get_by_role("row").filter(has_text=session_id)
        await expect(row.get_by_text("same")).to_be_visible(timeout=PATIENCE_MS)
        await page.goto(f"{server.root_url}/#/calls/{session_id}")
        log = page.get_by_role("log")
        await expect(log.get_by_text("Where is parcel PKG004?")).to_be_visible(timeout=PATIENCE_MS)
        await expect(log.locator(".tool")).to_contain_text("get_delivery_status")
        await expect(log.locator(".agent").first).to_contain_text("out for delivery")
        await expect(page.get_by_text("from your request to the server")).to_be_visible()
        await expect(page.get_by_text(re.compile("claims? supported|of . supported"))).to_be_visible()


async def test_a_call_with_all_that_it_shows_is_accessible(server: LocalServer, tmp_path: Path) -> None:
    for theme in ("light", "dark"):
        async with browser_page(tmp_path, color_scheme=theme) as page:
            session_id = await typed_call(page, server)
            talk = await Axe().run(page)
            await page.goto(f"{server.root_url}/#/calls/{session_id}")
            await expect(page.get_by_role("log").locator(".tool")).to_be_visible(timeout=PATIENCE_MS)
            record = await Axe().run(page)
        assert (talk.violations_count, record.violations_count) == (0, 0), (
            talk.generate_report() + record.generate_report()
        )


async def test_calls_are_found_by_words_and_by_id(server: LocalServer, tmp_path: Path) -> None:
    async with browser_page(tmp_path) as page:
        session_id = await typed_call(page, server)
        await page.goto(f"{server.root_url}/#/calls")
        search = page.get_by_role("searchbox")
        await search.fill(session_id[:15])
        await search.press("Enter")
        await expect(page.get_by_role("row").filter(has_text=session_id)).to_be_visible(timeout=PATIENCE_MS)
        await search.fill("sess_00000000")
        await search.press("Enter")
        await expect(page.get_by_text("No calls.")).to_be_visible(timeout=PATIENCE_MS)


async def test_the_state_of_the_server_is_shown_live(server: LocalServer, tmp_path: Path) -> None:
    async with browser_page(tmp_path) as page:
        await page.goto(f"{server.root_url}/#/operate")
        calls = page.get_by_role("region", name="Gateways").get_by_text(re.compile(r"\d+ of 24"))
        await expect(calls.first).to_be_visible(timeout=PATIENCE_MS)  # one that was just killed is shown for a while
        work = page.get_by_role("region", name="Work")
        for kind in ("stt", "llm", "tts", "tool", "record"):
            await expect(work.get_by_role("cell", name=kind, exact=True)).to_be_visible()
        await expect(page.get_by_text(re.compile("keys create --scope admin"))).to_be_visible()
