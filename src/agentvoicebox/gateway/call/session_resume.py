"""Resumes a session that another gateway, or another call of this one, held.

The session is taken over under a new owner token, its log replayed, and the store asked how far its work had come. The client is
sent what it lacks, and where to continue with the caller's audio.
"""

import secrets
from dataclasses import dataclass

from agentvoicebox.errors import AgentVoiceBoxError, DamagedRecord, Overloaded
from agentvoicebox.gateway.admission.call_admission import AdmittedCall
from agentvoicebox.gateway.admission.handshake import NO_SUCH_SESSION, ResumeRequest, SessionNotFound
from agentvoicebox.gateway.call.call_parts import CallParts
from agentvoicebox.gateway.call.missed_effects import position_of
from agentvoicebox.gateway.call.replay import RestoredSession, replay
from agentvoicebox.gateway.call.restore_point import MS_SAMPLES, RestorePoint, find_restore_point
from agentvoicebox.gateway.call.session_start import SessionStart
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.sessions.log import SavedSession
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.wire.server_events import SessionResumed

log = get_logger(__name__)


@dataclass(kw_only=True)
class ResumedSession(SessionStart):
    """A session that continues here.

    Attributes:
        is_announced: the client asked for `agentvoicebox.session.resumed`.
    """

    session_id: str
    restored: RestoredSession
    point: RestorePoint
    resume: ResumeRequest
    is_announced: bool

    @property
    def agent_name(self) -> str:
        """See SessionStart."""
        return self.restored.engine.state.agent.name

    async def begin(self, parts: CallParts) -> None:
        """See SessionStart."""
        state = self.restored.engine.state
        parts.driver.restore(self.restored)
        parts.input_audio.restore(state.buffer.start_sample, state.buffer.turn, state.buffer.suspect)
        for job_id, next_sample in self.point.reached.items():
            parts.input_audio.restore_utterance(job_id, next_sample)
        parts.jobs.restore(self.restored, self.point)
        await parts.driver.resume(secrets.token_hex(16))  # nothing is sent before the session is known to be ours
        if self.is_announced:
            parts.writer.send(self._announcement())
        is_complete = parts.output.resend(self.restored, self.point, self.resume.last_event_id)
        parts.playback.play_for(state.playout.remaining_ms(parts.driver.now_s) / 1000)
        log.info("session resumed", inputs=len(self.restored.steps), is_complete=is_complete)

    def _announcement(self) -> SessionResumed:
        return SessionResumed(
            event_id=f"event_{secrets.token_hex(10)}",
            session_id=self.session_id,
            audio_start_ms=self.point.start_sample // MS_SAMPLES,
            is_complete=position_of(self.restored.effects, self.resume.last_event_id) is not None,
            last_client_event_id=self.restored.ledger.last_client_event_id,
        )


async def _read(state: GatewayState, session: SessionRef) -> SavedSession:
    try:
        return await state.session_log.read(session)
    except DamagedRecord as error:
        log.error("a session's log can't be read")
        raise SessionNotFound(NO_SUCH_SESSION) from error


async def resume_session(state: GatewayState, admitted: AdmittedCall, resume: ResumeRequest) -> ResumedSession:
    """Take a session over. A call of this gateway that held it leaves, but only once the session is ours.

    Raises:
        Overloaded: another gateway is taking it over just now.
        SessionNotFound: it is over, or too much of its log is lost.
        NewerFormat: this version can't read it; a newer gateway can resume it.
        BrokerLost: the store is away.
    """
    session, owner = admitted.session, admitted.slot.owner
    if not await state.directory.take_over(session, admitted.stored, owner=owner):
        raise Overloaded("Another connection resumes this session.", code="session_busy")
    try:
        restored = replay(await _read(state, session))
        admitted.slot.displace_previous()
        point = await find_restore_point(state.broker, session, restored, resume)
        engine_state = restored.engine.state
        taken = {job_id: restored.ledger.taken.get(job_id, 0) for job_id in engine_state.jobs_out()}
        results = await state.broker.results(session, taken=taken)
    except AgentVoiceBoxError:
        state.directory.stop_renewing(session, owner)
        raise
    return ResumedSession(
        config=engine_state.config,
        language_model=engine_state.agent.language_model,
        results=results,
        start_sample=point.start_sample,
        degraded=engine_state.degraded,
        is_recordable=restored.is_whole,
        session_id=session.session_id,
        restored=restored,
        point=point,
        resume=resume,
        is_announced=admitted.request.can_resume,
    )
