"""The single writer: the only caller of a session's engine.

Everything that happens to a session is posted to one mailbox. For each input: the time is taken, the engine steps, the input goes
to the log; what follows from a whole handful is then performed in one go. No locks, no flags shared with others.
"""

import asyncio
from collections import deque

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.inputs import Input, Opened, TimePassed
from agentvoicebox.engine.session import Engine
from agentvoicebox.errors import BrokerLost
from agentvoicebox.gateway.ingest import Ingest
from agentvoicebox.gateway.outbox import Outbox
from agentvoicebox.gateway.perform import Performer
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.ports.broker import AppendLog, Record, SessionRef
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.tap import TurnTap

MAILBOX_ROOM = 256  # inputs; a driver that is so far behind must not be given more by client or workers
HANDFUL = 64  # inputs performed at once: more would only let the first of them wait
SNAPSHOT_EVERY = 200  # inputs, some two turns; replaying so many takes a few milliseconds (benchmarks/engine_steps.py)
SHORTEST_WAIT_S = 0.001  # a deadline that lies in the past must not spin

log = get_logger(__name__)


class _Letter(msgspec.Struct, frozen=True):
    given: Input
    posted_s: float
    record: Record | None = None
    client_event: str = ""


class Driver:
    """One session's driver. Times given to the engine are session time: seconds since it began."""

    def __init__(
        self,
        session: SessionRef,
        *,
        clock: Clock,
        outbox: Outbox,
        performer: Performer,
        ear: Ingest,
        past: SessionLog,
        tap: TurnTap,
        tape: Tape,
        metrics: Metrics,
    ) -> None:
        self._session = session
        self._clock = clock
        self._outbox = outbox
        self._performer = performer
        self._ear = ear
        self._past = past
        self._tap = tap
        self._tape = tape
        self._metrics = metrics
        self._began_s = clock.monotonic_s()
        self._letters: deque[_Letter] = deque()
        self._has_some = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._engine: Engine | None = None
        self._received = 0
        self._covered = 0  # of those, how many the last snapshot covers
        self._saving: asyncio.Task[None] | None = None

    def post(self, given: Input) -> None:
        """Add an input that can't wait: a fact of the detector, an end."""
        self._add(_Letter(given, self._clock.monotonic_s()))

    async def offer(self, given: Input, *, client_event: str = "", record: Record | None = None) -> None:
        """Add an input of the client or a worker, once there is room."""
        posted_s = self._clock.monotonic_s()
        await self._has_room.wait()
        self._add(_Letter(given, posted_s, record, client_event))

    async def open(self, opened: Opened) -> None:
        """Begin the session: `session.created` is queued when this returns, before anything is read."""
        now_s = self._now_s()
        self._engine, effects = Engine.open(opened, now_s)
        self._log(now_s, opened)
        self._tape.note(now_s, opened, effects)
        await self._perform(effects)

    async def run(self) -> None:
        """Drive until the engine has closed, and its last effects are performed."""
        engine = self._engine
        if engine is None:
            raise RuntimeError("a session is opened before it is run")
        while not engine.is_closed:
            letters = await self._next(engine.deadline())
            effects: list[Effect] = []
            for letter in letters:
                effects += self._step(engine, letter)
            await self._perform(effects)
            await self._save_if_due(engine)
            done_s = self._clock.monotonic_s()
            for letter in letters:
                if letter.client_event:
                    self._metrics.event_handled(letter.client_event, done_s - letter.posted_s)

    async def close(self) -> None:
        """Let go of a snapshot that is being saved: the session is over."""
        if self._saving is not None:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)

    def _add(self, letter: _Letter) -> None:
        self._letters.append(letter)
        self._has_some.set()
        if len(self._letters) >= MAILBOX_ROOM:
            self._has_room.clear()

    async def _next(self, deadline_s: float | None) -> list[_Letter]:
        """The next handful; the engine's own deadline when it comes first."""
        if not self._letters:
            wait_s = None if deadline_s is None else max(SHORTEST_WAIT_S, deadline_s - self._now_s())
            self._has_some.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._has_some.wait()
            except TimeoutError:
                return [_Letter(TimePassed(self._ear.position_samples), self._clock.monotonic_s())]
        handful = [self._letters.popleft() for _ in range(min(HANDFUL, len(self._letters)))]
        if len(self._letters) < MAILBOX_ROOM:
            self._has_room.set()
        return handful

    def _step(self, engine: Engine, letter: _Letter) -> list[Effect]:
        if engine.is_closed:
            return []
        now_s = self._now_s()
        effects = engine.receive(letter.given, now_s)
        self._log(now_s, letter.given)
        self._tape.note(now_s, letter.given, effects)
        self._metrics.step_taken(self._now_s() - now_s)
        self._tap.observe(self._clock.wall_s(), letter.given, effects, letter.record)
        return effects

    async def _perform(self, effects: list[Effect]) -> None:
        self._performer.inward(effects)
        await self._outbox.flush()
        self._performer.outward(effects)

    async def _save_if_due(self, engine: Engine) -> None:
        """Now and then a snapshot, so that whoever goes on with the session has little to replay.

        It is saved beside the call. Only after the store has lost inputs is it waited for: then the log has a hole that nothing
        but a snapshot of just this moment mends.
        """
        is_due = self._received - self._covered >= SNAPSHOT_EVERY or self._outbox.has_lost
        if not is_due or engine.is_closed or (self._saving is not None and not self._saving.done()):
            return
        must_wait, self._outbox.has_lost = self._outbox.has_lost, False
        self._saving = asyncio.create_task(self._save(engine.snapshot(), self._received), name="snapshot")
        if must_wait:
            await self._saving

    async def _save(self, state: bytes, received: int) -> None:
        try:
            await self._past.save_snapshot(self._session, state, received)
            self._covered = received
        except BrokerLost as error:
            log.warning("no snapshot was saved", error=error.code)
            self._outbox.has_lost = True

    def _log(self, now_s: float, given: Input) -> None:
        self._received += 1
        self._outbox.put(AppendLog(self._session, msgspec.msgpack.encode((now_s, given))))

    def _now_s(self) -> float:
        return self._clock.monotonic_s() - self._began_s
