"""The `@openai/agents-realtime` package in Chromium with its own default there: WebRTC, over the whole server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI, NotFoundError
from tests.e2e.clients.conftest import FlowerShop
from tests.kit import florist
from tests.kit.browser import installed_chromium
from tests.kit.client_program import needs_node, node_client

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.client.wav_files import write_wav

pytestmark = [pytest.mark.requirement("A16.1", "C9", "C10"), needs_node]


def microphone(folder: Path, say: Callable[[str], SpokenLine], *lines: tuple[float, str]) -> str:
    """A WAV file: lines, each after some seconds of silence; and a long silence."""
    sound: list[Int16Array] = []
    for pause_s, line in lines:
        sound += [np.zeros(int(pause_s * OUTPUT_RATE_HZ), np.int16), say(line).pcm]
    sound.append(np.zeros(60 * OUTPUT_RATE_HZ, np.int16))
    write_wav(folder / "microphone.wav", np.concatenate(sound), OUTPUT_RATE_HZ)
    return str(folder / "microphone.wav")


async def test_a_page_calls_by_webrtc_with_a_function_and_an_interruption(
    shop: FlowerShop, order: dict[str, Any], say: Callable[[str], SpokenLine], tmp_path: Path
) -> None:
    lines = ((4, florist.PRICE_LINE), (8, florist.ENDLESS_LINE), (8, florist.STOP_LINE))
    async with AsyncOpenAI(base_url=shop.server.url, api_key="any key", max_retries=0) as client:
        secret = await client.realtime.client_secrets.create(session={"type": "realtime"})
        order |= {
            "secret": secret.value,
            "microphone": microphone(tmp_path, say, *lines),
            "answers": 4,
            "page": "webrtc.html",
            "program": installed_chromium(),
        }
        async with node_client("agents_browser.mjs", order) as page:
            call_id = (await page.until("connected"))["callId"]
            async with client.realtime.connect(call_id=call_id) as sideband:
                function = await page.until("function")
                price = await page.until("said")
                truncated = await page.until("truncated")
                last = await page.until("said")
                while last["transcript"] != florist.NAME_REPLY:
                    last = await page.until("said")
                done = await page.until("done")
                beside = [event.type async for event in sideband]  # ends when the page has left
            reports = page.reports
        with pytest.raises(NotFoundError) as over:
            await client.realtime.calls.hangup(call_id)
    assert call_id.startswith("rtc_") and over.value.code == "call_not_found"
    assert function["flower"] == "red rose" and price["transcript"] == florist.PRICE_REPLY
    statuses = [report["status"] for report in reports if report["what"] == "done"]
    assert statuses == ["completed", "completed", "cancelled", "completed"]
    assert florist.INSTRUCTIONS in shop.model.prompts[0][0]["content"]
    cut = florist.check_cut_story(shop.model.prompts[-1], played_ms=truncated["audioMs"])
    assert done["said"][-2:] == [cut, florist.NAME_REPLY], "the page's history differs from what the model read"
    assert "response.output_audio.delta" not in done["kinds"]
    assert {"started", "cleared"} <= {report["what"] for report in reports}
    assert done["energy"] > 0.01, "the loudspeaker was given silence"
    assert beside[0] == "session.created" and "conversation.item.truncated" in beside
