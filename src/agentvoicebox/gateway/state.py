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
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.gateway.pace import ReadingPace
from agentvoicebox.http_server.connection_table import ConnectionTable
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.ports.broker import Broker, JobKind
from agentvoicebox.ports.providers import EndOfTurn, Voice
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import RuleBook
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.telemetry.metrics import Metrics

IDLE_S = 60.0  # longer than a page needs to ask for the microphone
RESUME_S = 30.0  # a phone needs this long between two networks; as long as a session outlives its gateway


@dataclass
class RecordStores:
    """What PostgreSQL holds of earlier sessions and of tenants.

    Attributes:
        rules: what becomes of tenants' records; None: the defaults, without encryption.
    """

    postgres: Postgres
    history: History
    usage: UsageReader
    rules: RuleBook | None = None


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
        pace: how fast one client is read.
        request_slots: how many requests for speech and transcripts are served at a time.
        idle_s: after how long a call ends whose client has never sent anything; 0: never.
        support: what sessions may ask for.
        cors_origins: whose pages may read the answers of the REST API; `*`: all.
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
    pace: ReadingPace = field(default_factory=ReadingPace)
    request_slots: RequestSlots = field(default_factory=RequestSlots)
    idle_s: float = IDLE_S
    support: SessionSupport = field(default_factory=SessionSupport)
    cors_origins: Sequence[str] = ()
