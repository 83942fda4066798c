"""Delivers events: leases lanes, sends each lane's events in order, and tries again what was not taken.

A lane is served by one task, which holds one event at a time, so memory is bounded by the number of lanes at a time. Those of one
destination take a part of them only: a destination that is slow or away delays no other. An event that was not taken holds up its
lane, no other, until it is taken or its time is over; then it is a dead letter, and the lane goes on.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Mapping

import structlog
from prometheus_client import CollectorRegistry

from agentvoicebox.clock import SystemClock
from agentvoicebox.errors import InfrastructureError
from agentvoicebox.events.destinations import Destinations
from agentvoicebox.events.lanes import DueLanes, Lane, LaneHead, Lanes
from agentvoicebox.ports.event_sink import Destination, DestinationKind, EventSink, SendResult
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.storage.vault import HistorySealed
from agentvoicebox.telemetry.event_metrics import EventMetrics

LANES = 64  # served at a time
LANES_OF_ONE = 8  # of one destination
EVENTS_IN_A_ROW = 100  # of one lane; then others get its place
POLL_S = 0.5
GAP_WAIT_S = 0.5  # between two looks for records that come before an event
DRAIN_S = 8.0
RETRIES = Backoff(first_s=5.0, factor=3.0, longest_s=3_600.0, tries=1 << 60, spread=0.5)
DAY_S = 86_400.0
LONGEST_PROBLEM = 200  # characters

_log = structlog.get_logger(__name__)


class Deliverer:
    """Serves the lanes of all tenants; any number of them may run.

    Args:
        lanes: what is to be delivered.
        destinations: where to.
        sinks: by kind of destination.
        retry_s: how long an event is tried; then it is a dead letter.
        backoff: between tries of one lane.
        chance: random numbers from 0 to 1, for the jitter of waits.
        most_lanes, most_of_one: lanes at a time, of all destinations and of one.
        metrics: of this process; None: they are not exported.
    """

    def __init__(
        self,
        lanes: Lanes,
        destinations: Destinations,
        sinks: Mapping[DestinationKind, EventSink],
        *,
        retry_s: float = DAY_S,
        backoff: Backoff = RETRIES,
        chance: Callable[[], float] = random.random,
        most_lanes: int = LANES,
        most_of_one: int = LANES_OF_ONE,
        poll_s: float = POLL_S,
        metrics: EventMetrics | None = None,
    ) -> None:
        self._lanes = lanes
        self._destinations = destinations
        self._sinks = sinks
        self._retry_s = retry_s
        self._backoff = backoff
        self._chance = chance
        self._most_lanes = most_lanes
        self._most_of_one = most_of_one
        self._poll_s = poll_s
        self._metrics = metrics or EventMetrics(CollectorRegistry())
        self._clock = SystemClock()
        self._serving: dict[asyncio.Task[None], Lane] = {}
        self._is_stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`; then what is being sent is sent to its end, for up to DRAIN_S."""
        stopped = asyncio.create_task(stop.wait(), name="the end of deliveries")
        failures = 0
        try:
            while not stop.is_set():
                wait_s = self._poll_s
                try:
                    await self.start_due()
                    failures = 0
                except InfrastructureError as error:
                    failures += 1
                    wait_s = Backoff(longest_s=5.0, tries=1 << 60, spread=0.5).wait_s(failures, self._chance()) or 0.0
                    _log.warning("events wait for PostgreSQL", failures=failures, error=error.message)
                full = list(self._serving) if len(self._serving) >= self._most_lanes else []
                await asyncio.wait([stopped, *full], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            await self._drain()

    async def start_due(self) -> int:
        """Lease lanes that are due, as far as there is room, and begin to serve them; returns how many. Raises StorageLost."""
        if len(self._serving) >= self._most_lanes:
            return 0
        started = 0
        busy = Counter((lane.tenant_id, lane.destination_id) for lane in self._serving.values())
        for due in await self._lanes.due():
            room = self._most_lanes - len(self._serving)
            most = min(due.lanes, room, self._most_of_one - busy[due.tenant_id, due.destination_id])
            if room <= 0:
                break
            if most > 0:
                started += await self._start(due, most)
        return started

    async def deliver_due(self) -> None:
        """Serve every lane that is due now, to its end. Raises StorageLost."""
        while await self.start_due() or self._serving:
            await asyncio.wait(list(self._serving))

    async def _start(self, due: DueLanes, most: int) -> int:
        claimed = await self._lanes.claim(due, most)
        if not claimed:
            return 0
        destination, problem = None, ""
        try:
            destination = await self._destinations.get(due.tenant_id, due.destination_id)
        except HistorySealed:
            problem = "its secret can't be decrypted: put its key back into AVB_HISTORY_KEYS"
        for lane in claimed:
            task = asyncio.create_task(self._serve(lane, destination, problem), name="events of a lane")
            self._serving[task] = lane
            task.add_done_callback(self._served)
        self._metrics.serves(len(self._serving))
        return len(claimed)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.pop(task, None)
        self._metrics.serves(len(self._serving))

    async def _serve(self, lane: Lane, destination: Destination | None, problem: str) -> None:
        try:
            if destination is None and not problem:
                await self._lanes.drop(lane)
                return
            await self._serve_events(lane, destination, problem)
        except InfrastructureError as error:  # the lease ends by itself
            _log.warning("events wait for PostgreSQL", destination=lane.destination_id, error=error.message)
        except Exception as error:  # a fault of ours must not end the others; its text may hold words
            _log.error("events can't be delivered", destination=lane.destination_id, error=type(error).__name__)

    async def _serve_events(self, lane: Lane, destination: Destination | None, problem: str) -> None:
        taken = ""
        for _ in range(EVENTS_IN_A_ROW):
            head = await self._lanes.next(lane, taken=taken)
            if head is None:
                return
            if self._is_stopping:
                break
            if not head.is_ready:
                await self._lanes.release(lane, GAP_WAIT_S)
                return
            result = SendResult(problem) if destination is None else await self._send(destination, head)
            taken = head.message.event_id if result.is_taken else ""
            if not result.is_taken and not await self._not_taken(lane, destination, head, result):
                return
        else:
            if taken and await self._lanes.next(lane, taken=taken) is None:
                return
        await self._lanes.release(lane)

    async def _send(self, destination: Destination, head: LaneHead) -> SendResult:
        sink = self._sinks.get(destination.kind)
        if sink is None:
            return SendResult(f"nothing here sends to {destination.kind}; see AVB_EVENTS_KAFKA")
        began_s = self._clock.monotonic_s()
        result = await sink.send(destination, head.message)
        took_s = self._clock.monotonic_s() - began_s
        self._metrics.attempted(destination.kind, took_s, is_taken=result.is_taken, age_s=head.age_s)
        return result

    async def _not_taken(self, lane: Lane, destination: Destination | None, head: LaneHead, result: SendResult) -> bool:
        """Put the event off, or give it up; returns whether the lane goes on without it."""
        event_id, problem = head.message.event_id, result.problem[:LONGEST_PROBLEM]
        about = {"tenant": lane.tenant_id, "destination": lane.destination_id, "event_id": event_id, "problem": problem}
        if head.age_s >= self._retry_s:
            _log.error("an event is a dead letter", age_s=round(head.age_s), **about)
            await self._lanes.give_up(lane, event_id, problem)
            if destination is not None:
                self._metrics.died(destination.kind)
            return True
        wait_s = self._backoff.wait_s(head.failures + 1, self._chance()) or 0.0
        pause_s = result.retry_after_s or 0.0
        _log.warning(
            "an event was not taken", failures=head.failures + 1, wait_s=round(max(wait_s, pause_s), 1), **about
        )
        await self._lanes.fail(lane, event_id, problem, wait_s=max(wait_s, pause_s), pause_s=pause_s)
        return False

    async def _drain(self) -> None:
        """Wait for what is being sent; give back what takes too long."""
        self._is_stopping = True
        if not self._serving:
            return
        serving = dict(self._serving)
        _, late = await asyncio.wait(list(serving), timeout=DRAIN_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        with contextlib.suppress(InfrastructureError):
            for task in late:
                await self._lanes.release(serving[task])
