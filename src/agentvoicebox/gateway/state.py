"""What all calls and requests of one gateway process share."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentvoicebox.agents import Agents
from agentvoicebox.clock import Clock
from agentvoicebox.gateway.admission.admission_control import AdmissionControl
from agentvoicebox.gateway.admission.request_slots import RequestSlots
from agentvoicebox.gateway.admission.service_health import ServiceHealth
from agentvoicebox.gateway.admission.session_registry import SessionRegistry
from agentvoicebox.gateway.admission.session_support import SessionSupport
from agentvoicebox.gateway.admission.tenant_pace import TenantPace
from agentvoicebox.gateway.audio.frame_lateness import FrameLateness
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.gateway.media.media_roles import MediaRoles
from agentvoicebox.gateway.pace import ServingPace
from agentvoicebox.http_server.connection_table import ConnectionTable
from agentvoicebox.http_server.loop_lag import LoopLag
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.ports.broker import Broker, JobKind
from agentvoicebox.ports.providers import EndOfTurn
from agentvoicebox.ports.voice import Voice
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.gateways import GatewayDirectory
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.storage.call_audio import CallAudioReader
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import RuleBook
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.storage.vault import Vault
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.trace_exporter import TraceExporter

IDLE_S = 60.0  # longer than a page needs to ask for the microphone
RESUME_S = 30.0  # a phone needs this long between two networks; as long as a session outlives its gateway


@dataclass
class RecordStores:
    """What PostgreSQL holds of earlier sessions and of tenants.

    Attributes:
        rules: what becomes of tenants' records; None: the defaults, without encryption, and no audio.
        audio: of calls; None: it is not read.
        vault: encrypts and decrypts; None: there are no keys.
    """

    postgres: Postgres
    history: History
    usage: UsageReader
    rules: RuleBook | None = None
    audio: CallAudioReader | None = None
    vault: Vault | None = None


@dataclass
class GatewayState:
    """One gateway process.

    Attributes:
        directory: which sessions exist, and who owns them.
        session_log: inputs and snapshots, from which a session is restored.
        batcher: runs the voice activity model for all sessions.
        admission: checks every request.
        sessions: the calls of this process.
        health: what works beside the calls.
        voices: as `GET /v1/voices` lists them.
        end_of_turn: a model for semantic_vad, or None.
        recording: where finished calls are recorded, or None.
        records: earlier sessions and the administration; None: their routes don't exist.
        needed: jobs without whose workers no call can be answered.
        resume_s: how long a session waits for a caller whose connection broke.
        connections: TCP connections of the public port.
        pace: how fast one client is read and served.
        tenant_pace: how many REST requests a second one tenant makes.
        request_slots: how many requests for speech and transcripts are served at a time.
        idle_s: after how long a call ends whose client has never sent anything; 0: never.
        judges_interruptions: a voice over the agent's is judged before it interrupts.
        support: what sessions may ask for.
        gateways: all gateways of the store; None: this one does not appear among them.
        cors_origins: whose pages may read the answers of the REST API; `*`: all.
        has_console: whether the page is served at `/`.
        traces: where spans of calls go; None: nowhere.
        lag: how late the event loop is.
        lateness: how late callers' frames are taken.
        media: the roles that carry calls by WebRTC; None: there are none.
    """

    broker: Broker
    directory: SessionDirectory
    session_log: SessionLog
    batcher: VadBatcher
    agents: Agents
    admission: AdmissionControl
    sessions: SessionRegistry
    health: ServiceHealth
    clock: Clock
    metrics: Metrics
    voices: Sequence[Voice] = ()
    end_of_turn: EndOfTurn | None = None
    recording: InteractionRecorder | None = None
    records: RecordStores | None = None
    needed: Sequence[JobKind] = ()
    resume_s: float = RESUME_S
    connections: ConnectionTable = field(default_factory=ConnectionTable)
    pace: ServingPace = field(default_factory=ServingPace)
    tenant_pace: TenantPace = field(default_factory=TenantPace)
    request_slots: RequestSlots = field(default_factory=RequestSlots)
    idle_s: float = IDLE_S
    judges_interruptions: bool = True
    support: SessionSupport = field(default_factory=SessionSupport)
    gateways: GatewayDirectory | None = None
    cors_origins: Sequence[str] = ()
    has_console: bool = True
    traces: TraceExporter | None = None
    lag: LoopLag = field(default_factory=LoopLag)
    lateness: FrameLateness = field(default_factory=FrameLateness)
    media: MediaRoles | None = None
