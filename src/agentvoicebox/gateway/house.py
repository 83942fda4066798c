"""What all calls of one gateway share, and which calls there are: who may come in, and how everybody leaves.

Admission is decided here: so many calls, none while the gateway goes down. After a call its keys stay for a moment, as
workers may still be at their last job of it, and are then deleted.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from agentvoicebox.agents import Agents
from agentvoicebox.clock import Clock
from agentvoicebox.errors import BrokerLost, Overloaded
from agentvoicebox.gateway.modes import Surroundings
from agentvoicebox.gateway.reception import Reception
from agentvoicebox.gateway.vad_batch import VadBatcher
from agentvoicebox.interactions.recording import Recording
from agentvoicebox.ports.broker import Broker, JobKind, SessionRef
from agentvoicebox.ports.providers import EndOfTurn, Voice
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import RuleBook
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.metrics import Metrics

SERVICE_RESTART = 1012  # who can resume comes back at once, to whichever gateway takes it
GOING_AWAY = 1001  # for others: libraries take it for a clean end, and some connect again
SHUTDOWN = "shutdown"
FAREWELL_S = 4.0  # for the closing events of those whose answers took too long
RESUME_S = 30.0  # what a phone takes between two networks; as long as a session outlives its gateway
GRACE_S = 1.0  # workers hear of a cancel within 50 ms; a record later than this is refused by its missing fence anyway

log = get_logger(__name__)


class Guest(Protocol):
    """A call, as the house sees it.

    Attributes:
        has_left: nothing of it runs any more.
    """

    has_left: bool

    def end(self, reason: str, code: int) -> None:
        """Ask it to close."""

    def hand_over(self) -> None:
        """Ask it to leave, but its session as it is, for another gateway; one whose caller can't come back ends once settled."""

    def feel(self, around: Surroundings) -> None:
        """Take note of what works around it now; told every second."""

    def drop(self, owner: str = "") -> None:
        """Its session has another owner: leave at once. With `owner`: if it is the one of this token."""


@dataclass
class House:
    """One gateway process.

    Attributes:
        past: snapshots of sessions.
        reception: where everybody shows a key first.
        voices: what sessions may ask for.
        end_of_turn: a model for semantic_vad, or None.
        recording: where the tapes of calls go, or None.
        history, usage: what was recorded of earlier calls; None where nothing is.
        postgres, rules: what the administration works on, and what becomes of tenants' records; None: there is none.
        needed: jobs without whose workers no call can be answered.
        grace_s: how long a call's keys outlive it.
        resume_s: how long a session waits for a caller whose line broke.
        around: what works and what does not, beside the calls.
    """

    broker: Broker
    directory: SessionDirectory
    past: SessionLog
    batcher: VadBatcher
    agents: Agents
    reception: Reception
    clock: Clock
    metrics: Metrics
    max_calls: int
    voices: Sequence[Voice] = ()
    end_of_turn: EndOfTurn | None = None
    recording: Recording | None = None
    history: History | None = None
    usage: UsageReader | None = None
    postgres: Postgres | None = None
    rules: RuleBook | None = None
    needed: Sequence[JobKind] = ()
    grace_s: float = GRACE_S
    resume_s: float = RESUME_S
    around: Surroundings = field(default_factory=Surroundings)
    is_leaving: bool = False
    _guests: dict[SessionRef, Guest] = field(default_factory=dict)
    _cleaning: set[asyncio.Task[None]] = field(default_factory=set)
    _is_empty: asyncio.Event = field(default_factory=asyncio.Event)
    _cleans_now: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Nobody is here yet."""
        self._is_empty.set()
        self.directory.on_lost = self._lost

    @property
    def calls(self) -> int:
        """How many calls there are."""
        return len(self._guests)

    def tell(self) -> None:
        """Let every call know what works around it."""
        for guest in list(self._guests.values()):
            guest.feel(self.around)

    def admit(self, session: SessionRef, guest: Guest, *, is_new: bool = True) -> Guest | None:
        """Let a call in. Gives the one that held the session here before, if one did: its place is taken.

        Args:
            session: whose call it is.
            guest: the call.
            is_new: nobody has spoken in it yet; one that goes on has a better claim.

        Raises:
            Overloaded: there are enough calls, what they need is short, or the gateway is going down.
        """
        if self.is_leaving:
            raise Overloaded("This server is shutting down; please call again.", code="shutting_down")
        before = self._guests.get(session)
        if before is None and len(self._guests) >= self.max_calls:
            raise Overloaded(f"All {self.max_calls} lines are busy; please call again in a moment.")
        if is_new and (refusal := self.around.refusal(self.calls)) is not None:
            raise refusal
        self._guests[session] = guest
        self._is_empty.clear()
        self.metrics.connections.set(len(self._guests))
        return before

    def dismiss(self, session: SessionRef, guest: Guest, *, is_over: bool = True) -> None:
        """A call has left. When its session is over, its keys go after a grace; else they are another gateway's."""
        if self._guests.get(session) is not guest:
            return  # its session goes on here, in another call
        del self._guests[session]
        self.metrics.connections.set(len(self._guests))
        if not self._guests:
            self._is_empty.set()
        if not is_over:
            self.reception.counts.stop_renewing(session)
            return
        task = asyncio.create_task(self._clean_up(session), name=f"{session.session_id} clean-up")
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)

    async def leave(self, patience_s: float) -> None:
        """Let nobody in any more; hand each call over, or let it finish what was begun.

        Calls that are not finished after `patience_s` are closed, each with its last events.
        """
        self.is_leaving = True
        for guest in list(self._guests.values()):
            guest.hand_over()
        if not await self._all_left(patience_s):
            log.warning("calls were ended before their answers were", calls=len(self._guests))
            for guest in list(self._guests.values()):
                guest.end(SHUTDOWN, GOING_AWAY)
            if not await self._all_left(FAREWELL_S):
                log.warning("calls were cut off by the shutdown", calls=len(self._guests))
        self._cleans_now.set()
        if self._cleaning:
            await asyncio.wait(list(self._cleaning), timeout=FAREWELL_S)

    async def _all_left(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self._is_empty.wait()
        except TimeoutError:
            return False
        return True

    def _lost(self, session: SessionRef, owner: str) -> None:
        guest = self._guests.get(session)
        if guest is not None:
            guest.drop(owner)

    async def _clean_up(self, session: SessionRef) -> None:
        with suppress(BrokerLost):  # its places come free by themselves
            await self.reception.counts.release(session)
        try:
            async with asyncio.timeout(self.grace_s):
                await self._cleans_now.wait()
        except TimeoutError:
            pass  # the usual way: the grace is over
        try:
            await self.broker.forget(session)  # data first: should we die here, a janitor finds the rest
            await self.directory.close(session)
        except BrokerLost:
            log.warning("keys of a call could not be deleted; they expire by themselves")
