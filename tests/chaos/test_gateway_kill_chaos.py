"""Gateways killed with -9 at random moments of a spoken call: the caller comes back to the other one, and nothing is lost.

Five kills; `AVB_CHAOS_KILLS=50` for a longer run, whose figures are printed.
"""

import asyncio
import contextlib
import os
import random
import statistics
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator

import numpy as np
import pytest
from tests.kit.gateway import CHUNK_SAMPLES, Workers, says
from tests.kit.resuming_client import free_port, gateway_process

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.client.caller import LiveCall, open_call
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.realtime_client.dialing import CallOptions

pytestmark = pytest.mark.requirement("A4.1", "C4")

KILLS = int(os.environ.get("AVB_CHAOS_KILLS", "5"))
RATE_HZ = 24_000
REPLY = "One two three four five. Six seven eight nine ten. Eleven twelve."
SEED = 4


@pytest.fixture
async def workers(redis_url: str) -> AsyncIterator[Workers]:
    """Workers of every kind, with a line to the store of their own."""
    broker = RedisBroker(redis_url)
    made, stop = Workers(broker), asyncio.Event()
    running = asyncio.create_task(made.run(stop))
    yield made
    stop.set()
    await running
    await broker.close()


def tone(seconds: float) -> SpokenLine:
    """Something that the energy detector takes for speech."""
    return SpokenLine("tone", (9_000 * np.sin(np.arange(int(seconds * RATE_HZ)) * 0.2)).astype(np.int16))


def server_events(call: LiveCall) -> list[dict[str, object]]:
    return [event.body for event in call.record().events if event.sender == "server"]


async def test_a_call_survives_its_gateways(redis_url: str, workers: Workers) -> None:
    workers.writes, workers.chunks, workers.pace_s, workers.is_distinct = says(REPLY), 8, 0.04, True
    ports = [free_port(), free_port()]
    chance = random.Random(SEED)
    async with contextlib.AsyncExitStack() as stack:
        running: dict[int, Process] = {
            port: await stack.enter_async_context(gateway_process(redis_url, port)) for port in ports
        }
        urls = [f"http://127.0.0.1:{port}/v1" for port in ports]
        options = CallOptions(urls[0], other_urls=(urls[1],), wants_trace=False)
        call = await stack.enter_async_context(open_call(options))
        for _ in range(KILLS):
            line = tone(chance.uniform(0.6, 1.2))
            turn = call.start_saying(line)
            await call.stay_connected(chance.uniform(0.05, line.duration_s + 2.5))
            holder = call.connection.server_port
            running[holder].kill()
            await running[holder].wait()
            await call.wait_for_reply(turn)
            assert not turn.problem, turn.problem
            running[holder] = await stack.enter_async_context(gateway_process(redis_url, holder))
        events, record = server_events(call), call.record()
        await call.hang_up()

    ids = Counter(event["event_id"] for event in events)
    kinds = Counter(event["type"] for event in events)
    doubled = [event_id for event_id, count in ids.items() if count > 1]
    spoken_ms = sum(len(chunks) for chunks in workers.spoken.values()) * CHUNK_SAMPLES * 1000 // RATE_HZ
    heard_ms = sum(int(str(e["delta"])[1:].split()[0]) for e in events if e["type"] == "response.output_audio.delta")
    pauses = sorted(pause * 1000 for pause in call.connection.pauses_s)
    p95 = pauses[min(len(pauses) - 1, int(0.95 * len(pauses)))]
    print(
        f"kills {KILLS}, returns {len(pauses)}, turns {len(record.turns)}, replies {kinds['response.done']}, "
        f"events {len(events)}, doubled {len(doubled)}, not replayable {call.connection.gaps}, "
        f"audio {heard_ms} of {spoken_ms} ms, gap {record.gap_ms:.0f} ms, "
        f"pause p50 {statistics.median(pauses):.0f} ms, p95 {p95:.0f} ms, max {pauses[-1]:.0f} ms"
    )
    assert len(pauses) == KILLS
    assert not doubled
    assert call.connection.gaps == 0
    assert [turn.replied for turn in record.turns] == [REPLY] * KILLS
    assert all(turn.heard == workers.hears and not turn.is_cut for turn in record.turns)
    assert kinds["response.created"] == kinds["response.done"] == KILLS
    assert heard_ms == spoken_ms
