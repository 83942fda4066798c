"""The single writer: the only caller of a session's engine.

Everything that happens to a session is posted to one mailbox. For each input the engine makes a step and the input goes to the
log; the effects of a whole batch are then carried out together. No locks, no shared flags.
"""

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.engine import bounds
from agentvoicebox.engine.effects import Effect
from agentvoicebox.engine.inputs import ClientEventReceived, ClientEventRejected, Closing, Opened, Resumed, TimePassed
from agentvoicebox.engine.pause_findings import pause_findings
from agentvoicebox.engine.session import Engine
from agentvoicebox.errors import ClientError, RateLimited
from agentvoicebox.gateway.admission.session_support import NO_EFFECT, Notes, SessionSupport
from agentvoicebox.gateway.audio.ingest import Ingest
from agentvoicebox.gateway.call.byte_budget import ByteBudget
from agentvoicebox.gateway.call.effect_executor import EffectExecutor
from agentvoicebox.gateway.call.mailbox import Mailbox, PostedInput
from agentvoicebox.gateway.call.outbox import Outbox
from agentvoicebox.gateway.call.replay import RestoredSession
from agentvoicebox.gateway.call.session_log_writer import SessionLogWriter
from agentvoicebox.gateway.call.step_observer import StepObserver
from agentvoicebox.telemetry.logs import get_logger

log = get_logger(__name__)

MIN_WAIT_S = 0.001  # a deadline in the past must not spin


class Driver:
    """One session's driver. Times given to the engine are session time: seconds since the session began.

    Args:
        mailbox: the inputs.
        executor: carries out effects.
        outbox: flushed before the client sees an effect.
        log: where inputs are logged.
        observer: sees each step.
        input_audio: for the input position when time passes.
        support: what the session may ask for.

    Attributes:
        is_store_full: the client may add nothing that is not needed to finish a turn.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        executor: EffectExecutor,
        outbox: Outbox,
        log: SessionLogWriter,
        observer: StepObserver,
        *,
        input_audio: Ingest,
        clock: Clock,
        support: SessionSupport | None = None,
    ) -> None:
        self._mailbox = mailbox
        self._executor = executor
        self._outbox = outbox
        self._log = log
        self._observer = observer
        self._input_audio = input_audio
        self._clock = clock
        self._support = support or SessionSupport()
        self._has_noted = False
        self._began_s = clock.monotonic_s()
        self._engine: Engine | None = None
        self._is_halted = False
        self.is_store_full = False
        self._byte_budget = ByteBudget(clock)
        self._entry_sizes = bounds.EntrySizes()
        self._closing: Closing | None = None  # posted once the session is settled

    @property
    def now_s(self) -> float:
        """Session time: seconds since the session began, at whichever gateway."""
        return self._clock.monotonic_s() - self._began_s

    async def open(self, opened: Opened) -> None:
        """Begin the session: `session.created` is queued when this returns, before anything is read."""
        now_s = self.now_s
        self._engine, effects = Engine.open(opened, now_s)
        self._note(opened.notes)
        self._log.append(now_s, opened)
        self._observer.recorded(now_s, opened, effects)
        await self._carry_out(effects)

    def restore(self, restored: RestoredSession) -> None:
        """Drive another gateway's session. Its time continues, including the time without a driver."""
        self._engine = restored.engine
        self._log.restore(restored)
        for step in restored.steps:
            self._observer.recorded(*step)
        self._began_s = self._clock.monotonic_s() - restored.session_s(self._clock.wall_s())

    async def resume(self, seed: str) -> None:
        """Log that the session continues here, together with what is already in the outbox. Raises SessionTaken."""
        if self._engine is None:
            raise RuntimeError("a session is restored before it is resumed")
        effects = self._step(self._engine, PostedInput(Resumed(seed), self._clock.monotonic_s()))
        await self._carry_out(effects)

    def end_when_settled(self, closing: Closing) -> None:
        """End the session once nothing is in progress: what was begun is finished."""
        self._closing = closing
        self._mailbox.wake()

    def halt(self) -> None:
        """Let `run` return after the present batch; the session stays as it is."""
        self._is_halted = True
        self._mailbox.wake()

    async def run(self) -> None:
        """Drive until the engine has closed and its last effects are carried out, or until halted. Raises SessionTaken."""
        engine = self._engine
        if engine is None:
            raise RuntimeError("a session is opened before it is run")
        while not engine.is_closed and not self._is_halted:
            if self._closing is not None and self._mailbox.is_empty and engine.state.is_idle:
                self._mailbox.post(self._closing)
            batch = await self._next(engine.deadline())
            if self._is_halted:
                return
            effects: list[Effect] = []
            for posted in batch:
                effects += self._step(engine, posted)
            await self._carry_out(effects)
            await self._log.save_if_due(engine, self.now_s)
            self._observer.handled(batch)

    async def close(self) -> None:
        """Stop writing: the session is over, or left to another gateway."""
        await self._log.close()

    async def _next(self, deadline_s: float | None) -> list[PostedInput]:
        """The next batch; the engine's own deadline when it comes first."""
        wait_s = None if deadline_s is None else max(MIN_WAIT_S, deadline_s - self.now_s)
        batch = await self._mailbox.next_batch(wait_s)
        if batch is None:
            return [PostedInput(TimePassed(self._input_audio.position_samples), self._clock.monotonic_s())]
        return batch

    def _step(self, engine: Engine, posted: PostedInput) -> list[Effect]:
        if engine.is_closed:
            return []
        posted = self._bounded(engine, posted)
        self._executor.hold_item_audio(posted.item_audio)
        now_s = self.now_s
        effects = engine.receive(posted.given, now_s)
        self._log.append(now_s, posted.given)
        self._observer.stepped(posted, now_s, effects, self.now_s - now_s)
        return effects

    def _bounded(self, engine: Engine, posted: PostedInput) -> PostedInput:
        """The input, as far as it can be done; a client's event for which the session has no room becomes its refusal."""
        if not isinstance(posted.given, ClientEventReceived):
            return posted
        event = posted.given.event
        error: ClientError | RateLimited | None
        error = bounds.refusal(engine.state, event, self._entry_sizes, is_store_full=self.is_store_full)
        error = error or self._byte_budget.charge(event)
        if error is None:
            try:
                given = self._support.receive(engine.state, posted.given)
                self._note(given.notes)
                return msgspec.structs.replace(posted, given=given)
            except ClientError as unsupported:
                error = unsupported
        param = error.param if isinstance(error, ClientError) else None
        refused = ClientEventRejected(error.message, error.code, param, event.event_id, error.error_type)
        return msgspec.structs.replace(posted, given=refused)

    def _note(self, notes: Notes | None) -> None:
        """Log once in a session that its client gets less than it asked for; fields without effect here are no news."""
        codes = sorted({note.code for note in notes or ()} - {NO_EFFECT})
        if codes and not self._has_noted:
            self._has_noted = True
            log.warning("the session asks for what is not in force here; its `notes` say what", codes=codes)

    async def _carry_out(self, effects: list[Effect]) -> None:
        """Jobs and log first; the client sees nothing that the store does not have."""
        self._executor.apply(effects)
        findings = None if self._engine is None else pause_findings(self._engine.state)
        if findings is not None:
            self._input_audio.pause_findings_received(findings)  # its facts are inputs of a later batch
        await self._outbox.flush()
        self._executor.emit(effects)
