"""LiveKit's OpenAI plugin with its default settings, in an environment of its own: `make clients`."""

from typing import Any

import pytest
from tests.e2e.clients.conftest import FlowerShop
from tests.kit import florist
from tests.kit.client_program import needs_kits, python_client
from tests.kit.rule_model import text_of
from tests.kit.tcp_line import TcpLine

pytestmark = [pytest.mark.requirement("A16.1", "C9"), needs_kits]


async def test_a_call_with_words_a_function_an_interruption_and_a_broken_line(
    shop: FlowerShop, order: dict[str, Any]
) -> None:
    async with TcpLine(shop.port) as line:
        order |= {"url": f"http://127.0.0.1:{line.port}/v1"}
        async with python_client("livekit_call.py", order) as client:
            name = await client.until("name")
            function = await client.until("function")
            price = await client.until("price")
            cut = await client.until("cut")
            story = await client.until("story")
            answer = await client.until("answer")
            after_stop = shop.model.prompts[-1]
            await client.until("cut me")
            line.cut()
            after = await client.until("after")
    assert name["said"] == florist.NAME_REPLY
    assert florist.INSTRUCTIONS in shop.model.prompts[0][0]["content"]
    assert function["flower"] == "red rose"
    assert price["said"] == florist.PRICE_REPLY
    assert story["is_interrupted"] and answer["said"] == florist.NAME_REPLY
    florist.check_cut_story(after_stop, played_ms=cut["heard_ms"])
    assert line.opened == 2 and after["said"] == florist.NAME_REPLY
    remembered = [text_of(message) for message in shop.model.prompts[-1] if message["role"] == "assistant"]
    assert florist.PRICE_REPLY in remembered, "the new session doesn't know what was said"
