"""The report of `agentvoicebox eval report` in a real Chromium: accessible in both themes, on a desk and on a phone."""

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect
from tests.kit.browser import DESK, PHONE, browser_page, needs_browser
from tests.kit.kits import CHOICE
from tests.kit.recorded import scenario, simulated, with_agent_line

from agentvoicebox.audio.wav import format_wav
from agentvoicebox.evals.baseline import compare
from agentvoicebox.evals.call_review import review, worst
from agentvoicebox.evals.call_sound import SoundBudget
from agentvoicebox.evals.report_call import anchor
from agentvoicebox.evals.report_figures import figures
from agentvoicebox.evals.report_page import page as report_page
from agentvoicebox.evals.score import score
from agentvoicebox.interactions.interaction import Interaction, Wait

pytestmark = [pytest.mark.requirement("B3.4-3.5"), needs_browser]

HAPPY = simulated(scenario("happy"))
CALLS = [HAPPY, with_agent_line(HAPPY, "is out for delivery", "has been delivered"), simulated(scenario("mumble"))]


def as_live(call: Interaction, number: int) -> Interaction:
    waits = tuple(
        Wait(
            total_ms=300.0 + 90 * number + 40 * place, parts_ms={"stt": 200.0 + 90 * number, "tts": 100.0 + 40 * place}
        )
        for place in range(3)
    )
    return msgspec.structs.replace(call, call_id=f"sess_{number}", scenario="", channel="realtime", waits=waits)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of three calls, one of them false, with audio of one second."""
    calls = [as_live(call, number) for number, call in enumerate(CALLS)]
    found = score(calls, scenarios={}, choice=CHOICE)
    reviews = review(calls, found, CHOICE)
    sound = SoundBudget().sound(format_wav(np.zeros(16_000, np.int16), 16_000), ".wav", "")
    whole = report_page(
        found,
        compare(found, None),
        made="2026-11-24",
        figures=figures(reviews, calls, None),
        worst=worst(reviews, 10),
        sounds={"sess_1": sound},
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(whole, encoding="utf-8")
    return path


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_the_report_is_accessible_with_everything_unfolded(
    report: Path, tmp_path: Path, theme: Literal["light", "dark"], size: dict[str, int]
) -> None:
    async with browser_page(tmp_path, color_scheme=theme, viewport=size) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(report.as_uri())
        await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


async def test_a_link_to_a_call_shows_its_words_and_its_audio_plays(report: Path, tmp_path: Path) -> None:
    async with browser_page(tmp_path) as page:
        await page.goto(f"{report.as_uri()}#{anchor(as_live(CALLS[1], 1))}")
        marked = page.locator("section.call:target mark")
        await expect(marked).to_have_text("Your parcel ending in zero zero four has been delivered.")
        await expect(marked).to_be_in_viewport()
        audio = page.locator("section.call:target audio")
        await audio.evaluate(
            "each => new Promise((done) => { each.onloadedmetadata = done; each.load(); each.preload = 'auto' })"
        )
        assert await audio.evaluate("each => each.duration") == pytest.approx(1.0, abs=0.1)
