"""Pipecat's OpenAI Realtime service with its default settings, in an environment of its own: `make clients`."""

from typing import Any

import pytest
from tests.e2e.clients.conftest import FlowerShop
from tests.kit import florist
from tests.kit.client_program import needs_kits, python_client

pytestmark = [pytest.mark.requirement("A16.1", "C9"), needs_kits]


async def test_a_call_with_a_greeting_words_a_function_and_an_interruption(
    shop: FlowerShop, order: dict[str, Any]
) -> None:
    async with python_client("pipecat_call.py", order) as client:
        greeting = await client.until("greeting")
        name = await client.until("name")
        function = await client.until("function")
        price = await client.until("price")
        story = await client.until("story")
        answer = await client.until("answer")
        told = [report for report in client.reports if report["what"] == "error"]
    assert greeting["said"] == florist.GREETING
    assert name["said"] == florist.NAME_REPLY
    assert florist.INSTRUCTIONS in shop.model.prompts[0][0]["content"]
    assert function["flower"] == "red rose"
    assert price["said"] == florist.PRICE_REPLY
    assert story["is_interrupted"] and answer["said"] == florist.NAME_REPLY
    florist.check_cut_story(shop.model.prompts[-1])
    assert not told
