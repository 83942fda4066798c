"""Voice benchmarks (tau2) drive a call in ticks of audio, over µ-law, in GA's spelling or in the retired beta's."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.e2e.clients.conftest import FlowerShop
from tests.kit import florist
from tests.kit.tick_caller import BETA, ticking

from agentvoicebox.client.line import SpokenLine

pytestmark = pytest.mark.requirement("A16.1", "C9")

MODEL = "gpt-realtime-2"  # tau2's default
VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
ULAW = {"type": "audio/pcmu"}
TRANSCRIPTION = {"model": "gpt-4o-transcribe", "language": "en"}
GA_SESSION = {
    "type": "realtime",
    "instructions": florist.INSTRUCTIONS,
    "output_modalities": ["audio"],
    "tools": [florist.PRICE_TOOL],
    "tool_choice": "auto",
    "audio": {
        "input": {
            "format": ULAW,
            "turn_detection": VAD,
            "transcription": TRANSCRIPTION,
            "noise_reduction": {"type": "near_field"},
        },
        "output": {"format": ULAW, "voice": "marin"},
    },
}
BETA_SESSION = {
    "instructions": florist.INSTRUCTIONS,
    "modalities": ["text", "audio"],
    "tools": [florist.PRICE_TOOL],
    "tool_choice": "auto",
    "turn_detection": VAD,
    "input_audio_format": "g711_ulaw",
    "input_audio_transcription": TRANSCRIPTION,
    "input_audio_noise_reduction": {"type": "near_field"},
    "voice": "alloy",
    "output_audio_format": "g711_ulaw",
}


@pytest.mark.parametrize(("session", "headers"), [(GA_SESSION, {}), (BETA_SESSION, BETA)], ids=["ga", "beta"])
async def test_a_call_in_ticks_with_words_a_function_and_an_interruption(
    shop: FlowerShop, say: Callable[[str], SpokenLine], session: dict[str, Any], headers: dict[str, str]
) -> None:
    url = f"{shop.server.url.replace('http', 'ws')}/realtime?model={MODEL}"
    async with ticking(url, session, headers=headers) as caller:
        await caller.say(say(florist.NAME_LINE))
        await caller.until(caller.said, "answer")
        await caller.until_quiet()
        assert caller.said() == [florist.NAME_REPLY]

        await caller.say(say(florist.PRICE_LINE))
        await caller.until(lambda: len(caller.of("response.done")) == 2, "function call")
        [asked] = caller.of("response.function_call_arguments.done")
        item = {"type": "function_call_output", "call_id": asked["call_id"], "output": florist.PRICE}
        await caller.send("conversation.item.create", item=item)
        await caller.send("response.create")
        await caller.until(lambda: len(caller.said()) == 2, "answer with the price")
        await caller.until_quiet()
        assert caller.said()[-1] == florist.PRICE_REPLY

        await caller.say(say(florist.ENDLESS_LINE))
        sounds = len(caller.of("response.output_audio.delta"))
        await caller.until(lambda: len(caller.of("response.output_audio.delta")) > sounds, "story")
        heard = 0
        while heard < 15:  # a busy machine may be late with a tick
            heard += bool((await caller.tick()).played)
        await caller.say(say(florist.STOP_LINE))
        await caller.until(lambda: len(caller.of("response.done")) == 5, "answer to the line that interrupted")
    [(story, cut_ms)] = caller.truncated_ms.items()
    assert caller.of("response.done")[3]["response"]["status"] == "cancelled"
    assert [(event["item_id"], event["audio_end_ms"]) for event in caller.of("conversation.item.truncated")] == [
        (story, cut_ms)
    ]
    assert caller.said()[-1] == florist.NAME_REPLY
    florist.check_cut_story(shop.model.prompts[-1], played_ms=cut_ms)
