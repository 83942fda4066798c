"""Builds the parts of one call and connects them."""

from starlette.websockets import WebSocket

from agentvoicebox.engine.inputs import RecordingDecided
from agentvoicebox.errors import InfrastructureError
from agentvoicebox.gateway.admission.call_admission import AdmittedCall
from agentvoicebox.gateway.audio.audio_chunk_buffer import AudioChunkBuffer
from agentvoicebox.gateway.audio.call_audio import CallAudio
from agentvoicebox.gateway.audio.ingest import Ingest, InputAudioConfig
from agentvoicebox.gateway.audio.playback_clock import PlaybackClock
from agentvoicebox.gateway.call.call_parts import CallParts
from agentvoicebox.gateway.call.client_output import ClientOutput
from agentvoicebox.gateway.call.driver import Driver
from agentvoicebox.gateway.call.effect_executor import EffectExecutor
from agentvoicebox.gateway.call.inbox import Inbox
from agentvoicebox.gateway.call.mailbox import Mailbox
from agentvoicebox.gateway.call.open_jobs import OpenJobs
from agentvoicebox.gateway.call.outbox import Outbox
from agentvoicebox.gateway.call.session_jobs import CallIdentity, SessionJobs
from agentvoicebox.gateway.call.session_log_writer import SessionLogWriter
from agentvoicebox.gateway.call.session_start import SessionStart
from agentvoicebox.gateway.call.socket import Reader, Writer
from agentvoicebox.gateway.call.speech_pace import SpeechPace
from agentvoicebox.gateway.call.step_observer import StepObserver
from agentvoicebox.gateway.call.turn_counter import TurnCounter
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.telemetry.spans import CallFacts
from agentvoicebox.telemetry.tap import TurnTap
from agentvoicebox.turns.agent_evidence import AgentEvidence


def assemble(
    state: GatewayState, websocket: WebSocket, admitted: AdmittedCall, start: SessionStart, *, correlation_id: str
) -> CallParts:
    """The parts of a call, before its session begins.

    Args:
        state: of the gateway.
        websocket: accepted.
        admitted: who calls, and what the client asked for.
        start: the session.
        correlation_id: of the call's log lines, here and at its workers.
    """
    clock, metrics, quota = state.clock, state.metrics, admitted.authorization.quota
    identity = CallIdentity(admitted.session, admitted.slot.owner, correlation_id)
    mailbox = Mailbox(clock)
    outbox = Outbox(state.broker, identity.session, owner=identity.owner)
    audio = CallAudio(
        lambda: _keeps_audio(state, identity),
        lambda piece: jobs.keep_audio(piece),
        clock,
        on_decided=lambda is_wanted: _announce(state, start, mailbox, is_recorded=is_wanted),
    )
    evidence = admitted.request.agent.turn_evidence
    input_audio = _input_audio(state, start, mailbox, outbox, audio, evidence)
    open_jobs, chunks = OpenJobs(metrics), AudioChunkBuffer()
    playback = PlaybackClock(input_audio.set_agent_speaking, clock)
    input_audio.is_agent_asking = lambda: playback.is_asking
    tape = Tape(correlation_id, tenant_id=identity.session.tenant_id, session_id=identity.session.session_id)
    tap = TurnTap(input_audio.arrivals.wall_s, input_audio.votes_ms, input_audio.arrivals.decision_wall_s)
    writer = Writer(websocket, admitted.request.dialect)
    jobs = SessionJobs(
        identity,
        outbox,
        open_jobs,
        input_audio=input_audio,
        chunks=chunks,
        quota=quota,
        mailbox=mailbox,
        clock=clock,
        speech_pace=SpeechPace(state.pace.speech_per_s, clock),
    )
    outbox.on_lost = jobs.on_batch_lost
    tracer = None if state.traces is None else state.traces.tracer(_facts(admitted, start))
    wants_trace = admitted.request.wants_trace
    output = ClientOutput(
        writer,
        chunks,
        playback,
        quota=quota,
        tap=tap,
        keep_turn=jobs.keep_turn,
        audio=audio,
        wants_trace=wants_trace,
        session_id=identity.session.session_id,
        resume_token=start.resume_token,
        metrics=metrics,
        clock=clock,
        tracer=tracer,
    )
    executor = EffectExecutor(jobs, output, input_audio=input_audio, chunks=chunks)
    log = SessionLogWriter(identity.session, identity.owner, state.session_log, outbox)
    observer = StepObserver(tape, tap, TurnCounter(metrics, lambda: playback.is_playing), metrics, clock)
    driver = Driver(
        mailbox, executor, outbox, log, observer, input_audio=input_audio, clock=clock, support=state.support
    )
    inbox = Inbox(start.results, mailbox, writer, input_audio=input_audio, jobs=open_jobs, chunks=chunks, clock=clock)
    reader = Reader(
        websocket,
        admitted.request.dialect,
        mailbox,
        outbox,
        input_audio=input_audio,
        quota=quota,
        metrics=metrics,
        pace=state.pace,
    )
    return CallParts(
        mailbox=mailbox,
        driver=driver,
        jobs=jobs,
        output=output,
        writer=writer,
        reader=reader,
        inbox=inbox,
        results=start.results,
        outbox=outbox,
        input_audio=input_audio,
        playback=playback,
        tape=tape,
        audio=audio,
        tracer=tracer,
    )


def _facts(admitted: AdmittedCall, start: SessionStart) -> CallFacts:
    """What the spans of a call say about it."""
    request = admitted.request
    return CallFacts(
        admitted.session.tenant_id,
        admitted.session.session_id,
        agent=request.agent.name,
        opened_s=start.opened_s,
        dialect=request.dialect.value,
        is_resumed=request.resume is not None,
    )


def _announce(state: GatewayState, start: SessionStart, mailbox: Mailbox, *, is_recorded: bool) -> None:
    """Have the caller hear whether the call is recorded. A session that was resumed says it only if it has not yet."""
    agent = state.agents.by_name.get(start.agent_name)
    if agent is not None and agent.recording_notice and start.config.type == "realtime":
        mailbox.post(RecordingDecided(agent.recording_notice if is_recorded else ""))


async def _keeps_audio(state: GatewayState, identity: CallIdentity) -> bool:
    """Whether the tenant's rule keeps the call's audio; not while PostgreSQL is away."""
    rules = None if state.records is None else state.records.rules
    try:
        return rules is not None and (await rules.of(identity.session.tenant_id)).keeps_audio
    except InfrastructureError:
        return False


def _input_audio(
    state: GatewayState,
    start: SessionStart,
    mailbox: Mailbox,
    outbox: Outbox,
    audio: CallAudio,
    evidence: AgentEvidence,
) -> Ingest:
    config = InputAudioConfig(
        start.config.input_format,
        start.config.turn_detection,
        start.start_sample,
        judges_interruptions=state.judges_interruptions,
    )
    return Ingest(
        state.batcher,
        config,
        post=mailbox.post,
        deliver=outbox.put_audio,
        listen=audio.caller_said,
        end_of_turn=state.end_of_turn,
        agent=evidence,
        clock=state.clock,
        lateness=state.lateness,
    )
