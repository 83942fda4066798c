"""The official `openai` package in Node, which insists on TLS."""

from typing import Any

import pytest
from tests.e2e.clients.conftest import FlowerShop
from tests.kit import florist
from tests.kit.client_program import needs_node, node_client
from tests.kit.tcp_line import TcpLine

pytestmark = [pytest.mark.requirement("A16.1", "C9"), needs_node]


async def test_a_call_over_tls_with_words_a_function_an_interruption_and_a_broken_line(
    shop: FlowerShop, order: dict[str, Any]
) -> None:
    async with TcpLine(shop.tls_port) as line:
        order |= {"url": shop.tls_url, "cut_url": f"https://localhost:{line.port}/v1"}
        async with node_client("openai_node.mjs", order, NODE_EXTRA_CA_CERTS=shop.certificate.cert) as client:
            name = await client.until("name")
            price = await client.until("price")
            interruption = await client.until("interruption")
            after_stop = shop.model.prompts[-1]
            await client.until("cut me")
            line.cut()
            resumed = await client.until("resumed")
            await client.until("end")
    assert name["transcript"] == florist.NAME_REPLY and name["audio"] > 0
    assert florist.INSTRUCTIONS in shop.model.prompts[0][0]["content"]
    assert (price["name"], price["arguments"]) == ("get_price", '{"flower": "red rose"}')
    assert price["transcript"] == florist.PRICE_REPLY
    assert (interruption["story"], interruption["last"], interruption["truncated"]) == ("cancelled", "completed", 3000)
    assert interruption["transcript"] == florist.NAME_REPLY
    florist.check_cut_story(after_stop, played_ms=3000)
    assert (resumed["status"], resumed["transcript"]) == ("completed", florist.STORY)
    assert line.opened == 2
