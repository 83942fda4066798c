"""The collaborators of one call."""

from dataclasses import dataclass

from agentvoicebox.gateway.audio.call_audio import CallAudio
from agentvoicebox.gateway.audio.ingest import Ingest
from agentvoicebox.gateway.audio.playback_clock import PlaybackClock
from agentvoicebox.gateway.call.client_output import ClientOutput
from agentvoicebox.gateway.call.driver import Driver
from agentvoicebox.gateway.call.inbox import Inbox
from agentvoicebox.gateway.call.mailbox import Mailbox
from agentvoicebox.gateway.call.outbox import Outbox
from agentvoicebox.gateway.call.session_jobs import SessionJobs
from agentvoicebox.gateway.call.socket import Reader, Writer
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.ports.broker import ResultStream
from agentvoicebox.telemetry.call_tracer import CallTracer


@dataclass(frozen=True)
class CallParts:
    """Made by `call_assembly.assemble`.

    Attributes:
        mailbox: takes every input of the engine.
        driver: steps the engine.
        jobs: what workers do for the session.
        output: what the client gets.
        writer, reader: the two halves of the socket.
        inbox, results: what workers publish.
        outbox: what goes to the store.
        input_audio: the caller's audio.
        playback: what plays at the caller.
        tape: what the recording is made of.
        audio: keeps what is heard, where the tenant wants that.
        tracer: of the call's spans; None: it has no trace.
    """

    mailbox: Mailbox
    driver: Driver
    jobs: SessionJobs
    output: ClientOutput
    writer: Writer
    reader: Reader
    inbox: Inbox
    results: ResultStream
    outbox: Outbox
    input_audio: Ingest
    playback: PlaybackClock
    tape: Tape
    audio: CallAudio
    tracer: CallTracer | None = None
