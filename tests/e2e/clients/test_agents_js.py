"""The `@openai/agents-realtime` package with its default settings, in Node and in Chromium."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI
from tests.e2e.clients.conftest import FlowerShop
from tests.kit import florist
from tests.kit.client_program import needs_node, node_client

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.client.wav_files import write_wav

pytestmark = [pytest.mark.requirement("A16.1", "C9"), needs_node]


async def test_a_call_in_node_with_words_a_function_and_an_interruption(
    shop: FlowerShop, order: dict[str, Any]
) -> None:
    async with node_client("agents_node.mjs", order) as client:
        name = await client.until("name")
        function = await client.until("function")
        price = await client.until("price")
        interruption = await client.until("interruption")
    assert name["said"] == [florist.NAME_REPLY]
    assert florist.INSTRUCTIONS in shop.model.prompts[0][0]["content"]
    assert function["flower"] == "red rose"
    assert price["said"] == [florist.NAME_REPLY, florist.PRICE_REPLY]
    assert interruption["status"] == "cancelled"
    cut = florist.check_cut_story(shop.model.prompts[-1], played_ms=interruption["truncated"])
    assert interruption["said"][-2:] == [cut, florist.NAME_REPLY], (
        "the package's history differs from what the model read"
    )


async def test_a_page_in_chromium_speaks_with_a_browsers_secret(
    shop: FlowerShop, order: dict[str, Any], say: Callable[[str], SpokenLine], tmp_path: Path
) -> None:
    sound: list[Int16Array] = []
    for pause_s, line in ((2, florist.PRICE_LINE), (8, florist.ENDLESS_LINE), (8, florist.STOP_LINE)):
        sound += [np.zeros(pause_s * OUTPUT_RATE_HZ, np.int16), say(line).pcm]
    sound.append(np.zeros(40 * OUTPUT_RATE_HZ, np.int16))
    write_wav(tmp_path / "microphone.wav", np.concatenate(sound), OUTPUT_RATE_HZ)
    async with AsyncOpenAI(base_url=shop.server.url, api_key="any key") as client:
        secret = await client.realtime.client_secrets.create(session={"type": "realtime"})
    order |= {"secret": secret.value, "microphone": str(tmp_path / "microphone.wav"), "answers": 4}
    async with node_client("agents_browser.mjs", order) as client:
        function = await client.until("function")
        price = await client.until("said")
        truncated = await client.until("truncated")
        last = await client.until("said")
        while last["transcript"] != florist.NAME_REPLY:
            last = await client.until("said")
        done = await client.until("done")
        statuses = [report["status"] for report in client.reports if report["what"] == "done"]
    assert secret.value.startswith("ek_")
    assert function["flower"] == "red rose" and price["transcript"] == florist.PRICE_REPLY
    assert statuses == ["completed", "completed", "cancelled", "completed"] and done["audioMs"] > 5000
    assert florist.INSTRUCTIONS in shop.model.prompts[0][0]["content"]
    florist.check_cut_story(shop.model.prompts[-1], played_ms=truncated["audioMs"])
