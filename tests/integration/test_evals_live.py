"""Scenarios against a real gateway and Valkey: the session's own log, read from the store, replays to the byte."""

from collections.abc import AsyncIterator

import pytest
from tests.kit.gateway import Gateway, Workers, calls_tool
from tests.kit.kits import CHOICE, without_words

from agentvoicebox.client.dialing import CallOptions
from agentvoicebox.evals.play import StoreLogs, play
from agentvoicebox.evals.replay import replay_effects
from agentvoicebox.evals.replay_live import replay_lines
from agentvoicebox.evals.scenario import Tolerance, parse
from agentvoicebox.interactions.interaction import decode, encode

pytestmark = pytest.mark.requirement("C5")

ASKS = parse('about = "x"\n[[line]]\ntype = "Where is PKG004?"\n[[line]]\ntype = "Thanks"', name="asks")
SAYS = "Your parcel ending in zero zero four is out for delivery."


@pytest.fixture
async def logs(redis_url: str) -> AsyncIterator[StoreLogs]:
    store = StoreLogs(redis_url)
    yield store
    await store.close()


async def test_a_live_call_is_kept_with_its_log_and_replays(served: Gateway, workers: Workers, logs: StoreLogs) -> None:
    workers.writes = calls_tool("get_delivery_status", '{"tracking_id":"PKG004"}', SAYS)
    options = CallOptions(base_url=f"http://127.0.0.1:{served.port}/v1")
    interaction = decode(encode(await play(ASKS, [None, None], options, log_of=logs)))
    assert [(line.role, line.text) for line in interaction.transcript][:2] == [
        ("caller", "Where is PKG004?"),
        ("agent", SAYS),
    ]
    assert interaction.tool_calls[0].arguments == '{"tracking_id":"PKG004"}'
    assert interaction.tool_calls[0].took_ms is not None and len(interaction.waits) == 2
    assert replay_effects(interaction).verdict == "same"  # type: ignore[union-attr]
    assert replay_effects(without_words(interaction)).verdict == "same"  # type: ignore[union-attr]


async def test_without_the_store_the_callers_side_is_kept_and_its_lines_replay(
    served: Gateway, workers: Workers
) -> None:
    workers.writes = calls_tool("get_delivery_status", '{"tracking_id":"PKG004"}', SAYS)
    options = CallOptions(base_url=f"http://127.0.0.1:{served.port}/v1")
    interaction = await play(ASKS, [None, None], options)
    assert interaction.log == () and replay_effects(interaction) is None
    again = await replay_lines(interaction, options, Tolerance(), CHOICE.default)
    assert (again.verdict, again.why) == ("same", "")
    workers.writes = calls_tool(
        "get_delivery_status", '{"tracking_id":"PKG004"}', SAYS.replace("out for delivery", "delayed")
    )
    other = await replay_lines(interaction, options, Tolerance(), CHOICE.default)
    assert other.verdict == "different" and "not stated any more: state: out for delivery" in other.why
