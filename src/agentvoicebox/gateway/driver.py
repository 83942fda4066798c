"""The single writer: the only caller of a session's engine.

Everything that happens to a session is posted to one mailbox. For each input: the time is taken, the engine steps, the input goes
to the log; what follows from a whole handful is then performed in one go. No locks, no flags shared with others.
"""

import asyncio

import msgspec

from agentvoicebox.broker.light_event import LightEvent
from agentvoicebox.clock import Clock
from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.inputs import Closing, Input, Opened, Resumed, TimePassed
from agentvoicebox.engine.session import Engine
from agentvoicebox.errors import BrokerLost
from agentvoicebox.gateway.ingest import Ingest
from agentvoicebox.gateway.ledger import Ledger
from agentvoicebox.gateway.outbox import Outbox
from agentvoicebox.gateway.perform import Performer
from agentvoicebox.gateway.resume import Restored
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.ports.broker import AppendLog, JobResult, SessionRef
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.tap import TurnTap

MAILBOX_ROOM = 256  # inputs; a driver that is so far behind must not be given more by client or workers
HANDFUL = 64  # inputs performed at once: more would only let the first of them wait
SNAPSHOT_EVERY = 200  # inputs, some two turns; replaying so many takes a few milliseconds (benchmarks/engine_steps.py)
# A snapshot is saved when it is so old: what lies after it is what a client that comes back can be sent again.
REPLAY_S = 30.0
REPLAY_MOST_BYTES = 4 * 1024 * 1024  # of inputs; beyond it a snapshot is saved however young it is
SHORTEST_WAIT_S = 0.001  # a deadline that lies in the past must not spin

log = get_logger(__name__)


class _Letter(msgspec.Struct, frozen=True):
    given: Input
    posted_s: float
    record: JobResult | None = None
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
        owner: str = "",
    ) -> None:
        self._session = session
        self._owner = owner
        self._ledger = Ledger()
        self._pending: tuple[float, bytes, bytes, int] | None = None  # a snapshot that is not old enough to be saved
        self._logged_bytes = 0  # since the last snapshot that was taken
        self._is_halted = False
        self._farewell: Closing | None = None
        self._clock = clock
        self._outbox = outbox
        self._performer = performer
        self._ear = ear
        self._past = past
        self._tap = tap
        self._tape = tape
        self._metrics = metrics
        self._began_s = clock.monotonic_s()
        self._letters: list[_Letter] = []  # a deque takes 760 bytes when it is empty, as most are
        self._has_some = LightEvent()
        self._has_room = LightEvent()
        self._has_room.set()
        self._engine: Engine | None = None
        self._received = 0
        self._covered = 0  # of those, how many the last snapshot covers
        self._saving: asyncio.Task[None] | None = None

    def post(self, given: Input) -> None:
        """Add an input that can't wait: a fact of the detector, an end."""
        self._add(_Letter(given, self._clock.monotonic_s()))

    async def offer(self, given: Input, *, client_event: str = "", record: JobResult | None = None) -> None:
        """Add an input of the client or a worker, once there is room."""
        posted_s = self._clock.monotonic_s()
        await self._has_room.wait()
        self._add(_Letter(given, posted_s, record, client_event))

    async def open(self, opened: Opened) -> None:
        """Begin the session: `session.created` is queued when this returns, before anything is read."""
        now_s = self.now_s
        self._engine, effects = Engine.open(opened, now_s)
        self._log(now_s, opened)
        self._tape.note(now_s, opened, effects)
        await self._perform(effects)

    def go_on(self, restored: Restored) -> None:
        """Drive another gateway's session. Its time goes on, the while in which nobody drove it included."""
        self._engine, self._ledger = restored.engine, restored.ledger
        self._received, self._covered = restored.received, restored.covered
        for step in restored.steps:
            self._tape.note(*step)
        self._began_s = self._clock.monotonic_s() - restored.session_s(self._clock.wall_s())

    async def resume(self, seed: str) -> None:
        """Log that the session goes on here. What was put into the outbox before goes with it. Raises SessionTaken."""
        if self._engine is None:
            raise RuntimeError("there is nothing to go on with")
        effects = self._step(self._engine, _Letter(Resumed(seed), self._clock.monotonic_s()))
        await self._perform(effects)

    def end_when_settled(self, closing: Closing) -> None:
        """End the session once nothing is under way in it: what was begun is finished."""
        self._farewell = closing
        self._has_some.set()

    def halt(self) -> None:
        """Have `run` return after the handful at hand; the session stays as it is."""
        self._is_halted = True
        self._has_some.set()

    async def run(self) -> None:
        """Drive until the engine has closed and its last effects are performed, or until halted. Raises SessionTaken."""
        engine = self._engine
        if engine is None:
            raise RuntimeError("a session is opened before it is run")
        while not engine.is_closed and not self._is_halted:
            if self._farewell is not None and not self._letters and engine.state.is_settled:
                self.post(self._farewell)
            letters = await self._next(engine.deadline())
            if self._is_halted:
                return
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
        if not self._letters and not self._is_halted:
            wait_s = None if deadline_s is None else max(SHORTEST_WAIT_S, deadline_s - self.now_s)
            self._has_some.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._has_some.wait()
            except TimeoutError:
                return [_Letter(TimePassed(self._ear.position_samples), self._clock.monotonic_s())]
        handful, self._letters = self._letters[:HANDFUL], self._letters[HANDFUL:]
        if len(self._letters) < MAILBOX_ROOM:
            self._has_room.set()
        return handful

    def _step(self, engine: Engine, letter: _Letter) -> list[Effect]:
        if engine.is_closed:
            return []
        now_s = self.now_s
        effects = engine.receive(letter.given, now_s)
        self._log(now_s, letter.given)
        self._tape.note(now_s, letter.given, effects)
        self._metrics.step_taken(self.now_s - now_s)
        self._tap.observe(self._clock.wall_s(), letter.given, effects, letter.record)
        return effects

    async def _perform(self, effects: list[Effect]) -> None:
        self._performer.inward(effects)
        await self._outbox.flush()
        self._performer.outward(effects)

    async def _save_if_due(self, engine: Engine) -> None:
        """Now and then a snapshot, so that whoever goes on with the session has little to replay.

        It is saved beside the call, once it is old: the inputs after it are the replay buffer. Only after the store has lost
        inputs it is saved at once, and waited for: then the log has a hole that nothing but a snapshot of this moment mends.
        """
        if engine.is_closed or (self._saving is not None and not self._saving.done()):
            return
        must_wait, self._outbox.has_lost = self._outbox.has_lost, False
        if must_wait or (self._pending is None and self._received - self._covered >= SNAPSHOT_EVERY):
            self._ledger.keep_only(engine.state.jobs_out())
            ledger = msgspec.msgpack.encode(self._ledger)
            self._pending = (self.now_s, engine.snapshot(), ledger, self._received)
            self._logged_bytes = 0
        if self._pending is None:
            return
        taken_s, state, ledger, received = self._pending
        if must_wait or self.now_s - taken_s >= REPLAY_S or self._logged_bytes > REPLAY_MOST_BYTES:
            self._pending = None
            self._saving = asyncio.create_task(self._save(state, ledger, received), name="snapshot")
            if must_wait:
                await self._saving

    async def _save(self, state: bytes, ledger: bytes, received: int) -> None:
        try:
            await self._past.save_snapshot(self._session, state, received, ledger=ledger, owner=self._owner)
            self._covered = received
        except BrokerLost as error:
            log.warning("no snapshot was saved", error=error.code)
            self._outbox.has_lost = True

    def _log(self, now_s: float, given: Input) -> None:
        self._received += 1
        self._ledger.note(given)
        entry = msgspec.msgpack.encode((now_s, given))
        self._logged_bytes += len(entry)
        self._outbox.put(AppendLog(self._session, entry))

    @property
    def now_s(self) -> float:
        """Session time: seconds since it began, at whichever gateway."""
        return self._clock.monotonic_s() - self._began_s
