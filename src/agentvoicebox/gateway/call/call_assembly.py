"""Builds the parts of one call and connects them."""

from starlette.websockets import WebSocket

from agentvoicebox.gateway.admission.call_admission import AdmittedCall
from agentvoicebox.gateway.audio.audio_chunk_buffer import AudioChunkBuffer
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
from agentvoicebox.gateway.call.step_observer import StepObserver
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.telemetry.tap import TurnTap


def assemble(
    state: GatewayState, websocket: WebSocket, admitted: AdmittedCall, start: SessionStart, *, trace_id: str
) -> CallParts:
    """The parts of a call, before its session begins.

    Args:
        state: of the gateway.
        websocket: accepted.
        admitted: who calls, and what the client asked for.
        start: the session.
        trace_id: 32 hex digits, in every job of the call.
    """
    clock, metrics, quota = state.clock, state.metrics, admitted.authorization.quota
    identity = CallIdentity(admitted.session, admitted.slot.owner, trace_id)
    mailbox = Mailbox(clock)
    outbox = Outbox(state.broker, identity.session, owner=identity.owner)
    input_audio = _input_audio(state, start, mailbox, outbox)
    open_jobs, chunks = OpenJobs(metrics), AudioChunkBuffer()
    playback = PlaybackClock(input_audio.set_agent_speaking, clock)
    tape, tap = Tape(trace_id, tenant_id=identity.session.tenant_id), TurnTap(input_audio.arrivals.wall_s)
    writer = Writer(websocket, admitted.request.dialect)
    jobs = SessionJobs(
        identity, outbox, open_jobs, input_audio=input_audio, chunks=chunks, quota=quota, mailbox=mailbox, clock=clock
    )
    outbox.on_lost = jobs.on_batch_lost
    wants_trace = admitted.request.wants_trace
    output = ClientOutput(
        writer,
        chunks,
        playback,
        quota=quota,
        tap=tap,
        wants_trace=wants_trace,
        resume_token=start.resume_token,
        metrics=metrics,
        clock=clock,
    )
    executor = EffectExecutor(jobs, output, input_audio=input_audio, chunks=chunks)
    log = SessionLogWriter(identity.session, identity.owner, state.session_log, outbox)
    observer = StepObserver(tape, tap, metrics, clock)
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
    )


def _input_audio(state: GatewayState, start: SessionStart, mailbox: Mailbox, outbox: Outbox) -> Ingest:
    config = InputAudioConfig(start.config.input_format, start.config.turn_detection, start.start_sample)
    return Ingest(
        state.batcher,
        config,
        post=mailbox.post,
        deliver=outbox.put_audio,
        end_of_turn=state.end_of_turn,
        clock=state.clock,
    )
