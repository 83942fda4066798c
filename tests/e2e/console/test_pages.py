"""The views of the console for everyone: no accessibility violation in either theme, on a desk and on a phone."""

from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect
from tests.kit.browser import DESK, PHONE, browser_page, needs_browser

from agentvoicebox.cli.local_server import LocalServer

pytestmark = [pytest.mark.requirement("C6"), needs_browser]

VIEWS = {"talk": "Call", "calls": "Calls", "operate": "Tenants and keys"}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_every_view_is_accessible_and_fits(
    server: LocalServer, tmp_path: Path, theme: Literal["light", "dark"], size: dict[str, int]
) -> None:
    async with browser_page(tmp_path, color_scheme=theme, viewport=size) as page:
        problems = watch(page)
        for view, mark in VIEWS.items():
            await page.goto(f"{server.root_url}/#/{view}")
            await expect(page.get_by_text(mark, exact=True).first).to_be_visible()
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], f"{view} is {width} wide"
    assert problems == []


async def test_all_is_reached_by_the_keyboard(server: LocalServer, tmp_path: Path) -> None:
    async with browser_page(tmp_path) as page:
        await page.goto(server.root_url)
        await expect(page.get_by_role("button", name="Call", exact=True)).to_be_visible()
        reached = []
        for _ in range(12):
            await page.keyboard.press("Tab")
            reached.append(
                await page.evaluate("document.activeElement.textContent.trim() || document.activeElement.tagName")
            )
        assert "Skip to content" in reached[0] and "Talk" in reached and "Operate" in reached and "Call" in reached


def watch(page: Page) -> list[str]:
    """Errors of the page and refusals by its policy, as they come."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
    return problems
