"""The sessions of one gateway: their limit, how they are drained, and when their keys are deleted.

The keys of an ended session are deleted after a short delay, because workers may still run its last job.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from agentvoicebox.errors import BrokerLost, Overloaded
from agentvoicebox.gateway.admission.service_health import ServiceHealth
from agentvoicebox.ports.broker import Broker, SessionRef
from agentvoicebox.sessions.counts import SessionCounts
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.metrics import Metrics

SERVICE_RESTART = 1012  # close code; clients that can resume reconnect at once, to any gateway
GOING_AWAY = 1001  # close code for other clients: libraries treat it as a clean end, and some reconnect
SHUTDOWN = "shutdown"
CLOSE_TIMEOUT_S = 4.0  # for the closing events of calls whose answers took too long
# Workers receive a cancellation within 50 ms; a later result is refused because its fence is missing.
CLEANUP_DELAY_S = 1.0

log = get_logger(__name__)


class ActiveCall(Protocol):
    """A running call, as the registry sees it."""

    def end(self, reason: str, code: int) -> None:
        """Close the session."""

    def hand_over(self) -> None:
        """Leave the session to another gateway. When the caller can't resume, end it once nothing is in progress."""

    def drop(self) -> None:
        """The session has another owner: leave at once and write nothing."""

    def on_health_changed(self, health: ServiceHealth) -> None:
        """The health of the services has changed; called after each health check (twice a second)."""


class SessionSlot:
    """A session's slot in this gateway, reserved before its call exists.

    Commands before `attach` are queued and reach the call when it is attached.

    Attributes:
        session: the session.
        owner: the gateway's token for the session.
        has_left: nothing of the call is running any more.
    """

    def __init__(self, session: SessionRef, owner: str, previous: "SessionSlot | None") -> None:
        """`previous`: the slot that held the session in this gateway, until `displace_previous`."""
        self.session = session
        self.owner = owner
        self.previous = previous
        self.has_left = False
        self._call: ActiveCall | None = None
        self._pending: list[Callable[[ActiveCall], None]] = []

    def attach(self, call: ActiveCall) -> None:
        """The call has started."""
        self._call = call
        for command in self._pending:
            command(call)
        self._pending.clear()

    def displace_previous(self) -> None:
        """This call owns the session: the previous call in this gateway leaves."""
        if self.previous is not None:
            self.previous.drop()
            self.previous = None

    def end(self, reason: str, code: int) -> None:
        """See ActiveCall."""
        self._forward(lambda call: call.end(reason, code))

    def hand_over(self) -> None:
        """See ActiveCall."""
        self._forward(lambda call: call.hand_over())

    def drop(self) -> None:
        """See ActiveCall."""
        self._forward(lambda call: call.drop())

    def on_health_changed(self, health: ServiceHealth) -> None:
        """See ActiveCall. A call reads the health itself when it begins."""
        if self._call is not None:
            self._call.on_health_changed(health)

    def _forward(self, command: Callable[[ActiveCall], None]) -> None:
        if self._call is None:
            self._pending.append(command)
        else:
            command(self._call)


class SessionRegistry:
    """The sessions of one gateway process.

    Args:
        broker: deletes a session's data.
        directory: owners of sessions, over all gateways.
        counts: slots of open sessions, over all gateways.
        health: whether new calls can be served.
        max_calls: limit of this gateway.
        cleanup_delay_s: how long a session's keys outlive it.

    Attributes:
        is_draining: no further calls are accepted.
    """

    def __init__(
        self,
        broker: Broker,
        directory: SessionDirectory,
        counts: SessionCounts,
        *,
        health: ServiceHealth,
        metrics: Metrics,
        max_calls: int,
        cleanup_delay_s: float = CLEANUP_DELAY_S,
    ) -> None:
        self.is_draining = False
        self.max_calls = max_calls
        self._broker = broker
        self._directory = directory
        self._counts = counts
        self._health = health
        self._metrics = metrics
        self._cleanup_delay_s = cleanup_delay_s
        self._slots: dict[SessionRef, SessionSlot] = {}
        self._cleaning: set[asyncio.Task[None]] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._cleans_now = asyncio.Event()
        directory.on_lost = self._on_lost

    def __len__(self) -> int:
        """Number of calls."""
        return len(self._slots)

    def reserve(self, session: SessionRef, owner: str, *, is_new: bool) -> SessionSlot:
        """Reserve a slot for a call.

        Args:
            session: the call's session.
            owner: the gateway's token for the session.
            is_new: False for a resumed session, which is accepted even while new calls are refused.

        Raises:
            Overloaded: the limit is reached, the services can't serve another call, or the gateway is draining.
        """
        if self.is_draining:
            raise Overloaded("This server is shutting down; please call again.", code="shutting_down")
        previous = self._slots.get(session)
        if previous is None and len(self._slots) >= self.max_calls:
            raise Overloaded(f"All {self.max_calls} lines are busy; please call again in a moment.")
        if is_new and (refusal := self._health.refusal(len(self._slots))) is not None:
            raise refusal
        slot = SessionSlot(session, owner, previous)
        self._set(slot)
        return slot

    def is_current(self, slot: SessionSlot) -> bool:
        """Whether the session has not been resumed in another call of this gateway."""
        return self._slots.get(slot.session) is slot

    def release(self, slot: SessionSlot, *, is_over: bool) -> None:
        """Release the slot of a call that has left. If its session is over, its keys are deleted soon; otherwise they stay.

        If the session could not be resumed, the previous call in this gateway keeps it.
        """
        slot.has_left = True
        if self._slots.get(slot.session) is not slot:
            return  # the session continues here, in another call
        if slot.previous is not None and not slot.previous.has_left:
            self._set(slot.previous)
            if self.is_draining:
                slot.previous.hand_over()
            return
        del self._slots[slot.session]
        self._metrics.connections.set(len(self._slots))
        if not self._slots:
            self._is_empty.set()
        if not is_over:
            self._counts.stop_renewing(slot.session)
            return
        task = asyncio.create_task(self._clean_up(slot.session), name=f"{slot.session.session_id} clean-up")
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)

    def publish_health(self) -> None:
        """Pass the services' health to every call."""
        for slot in list(self._slots.values()):
            slot.on_health_changed(self._health)

    async def drain(self, timeout_s: float) -> None:
        """Accept no more calls; hand each one over, or let it finish its response.

        Calls that are not finished after `timeout_s` are closed, each with its last events.
        """
        self.is_draining = True
        for slot in list(self._slots.values()):
            slot.hand_over()
        if not await self._all_left(timeout_s):
            log.warning("calls were ended before their answers", calls=len(self._slots))
            for slot in list(self._slots.values()):
                slot.end(SHUTDOWN, GOING_AWAY)
            if not await self._all_left(CLOSE_TIMEOUT_S):
                log.warning("calls were cut off by the shutdown", calls=len(self._slots))
        self._cleans_now.set()
        if self._cleaning:
            await asyncio.wait(list(self._cleaning), timeout=CLOSE_TIMEOUT_S)

    def _set(self, slot: SessionSlot) -> None:
        self._slots[slot.session] = slot
        self._is_empty.clear()
        self._metrics.connections.set(len(self._slots))

    async def _all_left(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self._is_empty.wait()
        except TimeoutError:
            return False
        return True

    def _on_lost(self, session: SessionRef, owner: str) -> None:
        slot = self._slots.get(session)
        if slot is not None and owner in ("", slot.owner):
            slot.drop()

    async def _clean_up(self, session: SessionRef) -> None:
        with suppress(BrokerLost):  # its slots expire by themselves
            await self._counts.release(session)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._cleanup_delay_s):
                await self._cleans_now.wait()
        try:
            await self._broker.forget(session)  # data first: if this process dies here, the janitor deletes the rest
            await self._directory.close(session)
        except BrokerLost:
            log.warning("keys of a session could not be deleted; they expire by themselves")
