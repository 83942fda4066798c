"""A person talks to the server in a browser: the words of both sides, tools, interruptions, and every millisecond."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from tests.e2e.console.conftest import MicrophoneOf
from tests.kit.browser import browser_page, needs_browser
from tests.kit.processes import pid_of

from agentvoicebox.cli.local_server import LocalServer

pytestmark = [pytest.mark.requirement("C6"), needs_browser]

PATIENCE_MS = 45_000


async def call(page: Page, server: LocalServer, mode: str = "Open microphone") -> None:
    await page.goto(server.root_url)
    await page.get_by_role("combobox", name="Agent").select_option("delivery")
    await page.get_by_role("combobox", name="Microphone").select_option(label=mode)
    await page.get_by_role("button", name="Call", exact=True).click()
    await expect(page.get_by_text("On the line")).to_be_visible(timeout=PATIENCE_MS)


async def test_a_whole_spoken_call_shows_both_sides_the_tool_and_the_waterfall(
    server: LocalServer, microphone_of: MicrophoneOf, tmp_path: Path
) -> None:
    microphone = microphone_of(
        [(3, "Hi, can you tell me where my parcel is?"), (9, "It's P K G zero zero four."), (9, "Yes, that's right.")]
    )
    async with browser_page(tmp_path, microphone=microphone) as page:
        await call(page, server)
        log = page.get_by_role("log")
        await expect(log.locator(".agent", has_text="out for delivery")).to_be_visible(timeout=PATIENCE_MS)
        await expect(log.locator(".caller")).to_have_count(3)
        await expect(log.locator(".caller").nth(0)).to_contain_text("parcel")
        await expect(log.locator(".tool").first).to_contain_text("get_delivery_status", timeout=PATIENCE_MS)
        turns = page.get_by_role("region", name="Latency of each turn")
        await expect(turns.get_by_text("first sound at your loudspeaker")).to_be_visible(timeout=PATIENCE_MS)
        parts = await numbers_of(page)
        assert abs(sum(value for name, value in parts.items() if name != "whole, ms") - parts["whole, ms"]) < 0.5
        assert {"end of turn", "network", "playback"} <= parts.keys()
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.get_by_text("Call ended")).to_be_visible()


async def test_what_the_caller_did_not_hear_is_struck_through(
    server: LocalServer, microphone_of: MicrophoneOf, tmp_path: Path
) -> None:
    lines = [(3.0, "Where is parcel P K G zero zero nine?"), (8.0, "Yes."), (3.2, "Sorry, stop, I meant another one.")]
    async with browser_page(tmp_path, microphone=microphone_of(lines)) as page:
        await call(page, server)
        log = page.get_by_role("log")
        await expect(log.get_by_text("interrupted").first).to_be_visible(timeout=PATIENCE_MS)
        struck = log.locator("del").first
        await expect(struck).to_be_visible(timeout=PATIENCE_MS)
        assert len((await struck.inner_text()).split()) > 2


async def test_a_typed_call_needs_no_microphone(server: LocalServer, tmp_path: Path) -> None:
    async with browser_page(tmp_path) as page:
        await call(page, server, mode="Type only")
        await page.get_by_label("Type a message").fill("Where is parcel PKG004?")
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator(".line.agent").first).to_contain_text(re.compile("P K G|parcel"), timeout=PATIENCE_MS)
        await expect(page.get_by_text("from your request to")).to_be_visible(timeout=PATIENCE_MS)


async def test_push_to_talk_sends_what_was_said_while_the_key_was_held(
    server: LocalServer, microphone_of: MicrophoneOf, tmp_path: Path
) -> None:
    async with browser_page(tmp_path, microphone=microphone_of([(2, "Where is my parcel?")])) as page:
        await call(page, server, mode="Push to talk")
        button = page.get_by_role("button", name=re.compile("Hold to talk|Listening"))
        await button.focus()
        await page.keyboard.down("Space")
        await expect(button).to_have_attribute("aria-pressed", "true")
        await asyncio.sleep(5)  # of the recorded line's own time
        await page.keyboard.up("Space")
        await expect(page.locator(".line.caller").first).to_contain_text("parcel", timeout=PATIENCE_MS)
        await expect(page.locator(".line.agent").first).to_contain_text(re.compile("number"), timeout=PATIENCE_MS)


async def test_a_call_goes_on_after_the_death_of_its_gateway(
    server: LocalServer, microphone_of: MicrophoneOf, tmp_path: Path
) -> None:
    microphone = microphone_of([(3, "Where is parcel P K G zero zero four?"), (9, "Yes, that's right.")])
    async with browser_page(tmp_path, microphone=microphone) as page:
        await call(page, server)
        await expect(page.locator(".line.agent").first).to_contain_text("P K G", timeout=PATIENCE_MS)
        os.kill(pid_of(server.pid, "gateway"), signal.SIGKILL)
        await expect(page.get_by_text("The connection broke")).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.get_by_text(re.compile("The call was resumed after"))).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.locator(".line.agent", has_text="out for delivery")).to_be_visible(timeout=PATIENCE_MS)


async def numbers_of(page: Page) -> dict[str, float]:
    """The table of the latest turn: part → ms."""
    rows = await page.locator("table.parts tr").all()
    return {(await row.locator("th").inner_text()).strip(): float(await row.locator("td").inner_text()) for row in rows}
