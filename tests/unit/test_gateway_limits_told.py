"""What is left of the limits is told under an id after which a client that comes back gets what it lacks, and nothing twice."""

import asyncio
import json
from contextlib import suppress
from typing import Any, cast

from starlette.websockets import WebSocket
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.gateway.admission.handshake import LIMITS_MARK
from agentvoicebox.gateway.admission.quota import Quota
from agentvoicebox.gateway.call.limits_report import report_limits
from agentvoicebox.gateway.call.socket import Writer
from agentvoicebox.wire.dialect import Dialect
from agentvoicebox.wire.server_events import InputAudioBufferCleared, RateLimit, TurnTrace


class Wire:
    """The far end: keeps what is written."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.grown = asyncio.Condition()

    async def send(self, message: dict[str, Any]) -> None:
        async with self.grown:
            self.events.append(json.loads(message["text"]))
            self.grown.notify_all()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self.grown:
            await self.grown.wait_for(lambda: len(self.events) >= count)


class Counting:
    """A quota that tells of the limits when the test says so."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[RateLimit, ...]] = asyncio.Queue()

    async def next_limits(self) -> tuple[RateLimit, ...]:
        return await self.asked.get()


async def test_limits_told_late_bear_the_id_of_the_event_before_them_and_no_id_twice() -> None:
    wire, quota = Wire(), Counting()
    writer = Writer(cast(WebSocket, wire), Dialect.GA)
    limits = (RateLimit(name="requests", limit=10, remaining=9, reset_seconds=1.0),)
    tasks = [asyncio.create_task(writer.run()), asyncio.create_task(report_limits(cast(Quota, quota), writer))]
    try:
        writer.send(InputAudioBufferCleared(event_id="event_done"))
        writer.send(InputAudioBufferCleared(event_id="event_next"))  # came while the store was counting
        writer.send(TurnTrace(event_id="event_trace", turn={}))  # in no log
        for _ in range(2):
            quota.asked.put_nowait(limits)
        await wire.has(5)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
    ids = [event["event_id"] for event in wire.events]
    assert [each.partition(LIMITS_MARK)[0] for each in ids[3:]] == ["event_next", "event_next"]
    assert len(set(ids)) == 5
