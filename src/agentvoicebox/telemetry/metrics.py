"""Prometheus metrics of the gateway: their names and labels.

Every label takes its values from a closed set, so that no client can create new series. Times of jobs are those that the gateway
sees, with the way there and back; the workers' own are in `worker_metrics`.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agentvoicebox.telemetry.connection_metrics import ConnectionMetrics
from agentvoicebox.telemetry.labels import JOB_KINDS, among
from agentvoicebox.telemetry.trace_ids import trace_id_of
from agentvoicebox.telemetry.trace_metrics import TraceMetrics
from agentvoicebox.wire.faults import CATALOGUE

OUTCOMES = frozenset({"done", "failed", "cancelled"})
CLIENT_EVENTS = frozenset(
    {
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.retrieve",
        "conversation.item.truncate",
        "conversation.item.delete",
        "response.create",
        "response.cancel",
        "output_audio_buffer.clear",
        "invalid",
    }
)
TURN_PARTS = frozenset({"endpointing", "socket", "ingest", "stt", "queue", "dialogue", "tool", "tts", "gateway"})
ERROR_TYPES = frozenset({"invalid_request_error", "server_error", "rate_limit_error"})
SPECULATIONS = frozenset({"hit", "miss", "none"})
NO_CREDENTIALS = "no_credentials"  # an error without a code
REFUSALS = frozenset(each.code for each in CATALOGUE if each.place == "connect" and each.code) | {NO_CREDENTIALS}
# Refusals for which neither the client nor its limits are the reason: they count against the objective of alerts.
OUR_REFUSALS = frozenset({"overloaded", "store_unavailable", "store_full", "broker_lost", "storage_lost"})
LIMITS = frozenset(
    f"{scope}.{measure}" for scope in ("global", "tenant", "key") for measure in ("requests", "tokens", "sessions")
) | {"secret.sessions"}

# One engine step and one socket event take well under a millisecond; a wait for an engine up to seconds.
STEP_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
ENGINE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """One gateway's metrics.

    Args:
        registry: of the process; by default one of their own, so that two gateways in a process never collide.

    Attributes:
        on_turn_answered: called with the parts of each turn's wait, in ms, when its first audio was sent.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = CollectorRegistry() if registry is None else registry
        self.registry = registry
        self.on_turn_answered: Callable[[dict[str, float]], None] = lambda parts_ms: None
        self.traces = TraceMetrics(registry)
        self._message_s = Histogram(
            "avb_message_seconds",
            "Time from reading a client event to passing on its effects.",
            ["event"],
            buckets=STEP_BUCKETS_S,
            registry=registry,
        )
        self._step_s = Histogram(
            "avb_engine_step_seconds", "Time of one engine step.", buckets=STEP_BUCKETS_S, registry=registry
        )
        self._first_result_s = Histogram(
            "avb_job_first_result_seconds",
            "Time from a worker claiming a job to its first result.",
            ["kind"],
            buckets=ENGINE_BUCKETS_S,
            registry=registry,
        )
        self._job_s = Histogram(
            "avb_job_seconds",
            "Time from submitting a job to its last result.",
            ["kind"],
            buckets=ENGINE_BUCKETS_S,
            registry=registry,
        )
        self._turn_part_s = Histogram(
            "avb_turn_part_seconds",
            "Parts of the time from the caller's last sample to the agent's first.",
            ["part"],
            buckets=ENGINE_BUCKETS_S,
            registry=registry,
        )
        self._turn_s = Histogram(
            "avb_turn_seconds",
            "Time from the caller's last voiced sample to the agent's first audio.",
            buckets=ENGINE_BUCKETS_S,
            registry=registry,
        )
        self.tcp = ConnectionMetrics(registry)
        self.connections = Gauge("avb_connections", "Open calls.", registry=registry)
        self._queue_age_s = Gauge(
            "avb_queue_age_seconds", "Age of the oldest unclaimed job.", ["kind"], registry=registry
        )
        self._queue_depth = Gauge("avb_queue_depth", "Jobs that no worker has claimed.", ["kind"], registry=registry)
        self._jobs_open = Gauge("avb_jobs_open", "Jobs submitted and not yet over.", ["kind"], registry=registry)
        self._jobs = Counter("avb_jobs", "Jobs that are over.", ["kind", "outcome"], registry=registry)
        self._events = Counter("avb_client_events", "Client events read.", ["event"], registry=registry)
        self._audio_bytes = Counter("avb_audio_bytes", "Caller audio read, in the client's format.", registry=registry)
        self._appends = self._events.labels("input_audio_buffer.append")  # by far the most frequent: looked up once
        self._errors = Counter("avb_errors", "Error events sent to clients.", ["error_type"], registry=registry)
        self._refusals = Counter("avb_refusals", "Connections refused.", ["code"], registry=registry)
        self._calls = Counter("avb_calls", "Calls that began or went on here.", ["result"], registry=registry)
        self._audio_requests = Counter(
            "avb_audio_requests",
            "Requests for speech and transcripts that were begun.",
            ["route", "outcome"],
            registry=registry,
        )
        self._requests = Counter(
            "avb_requests",
            "REST requests by pattern of the route and class of the status.",
            ["route", "status"],
            registry=registry,
        )
        self._interruptions = Counter("avb_interruptions", "Answers that the caller interrupted.", registry=registry)
        self._false_cutoffs = Counter(
            "avb_false_cutoffs",
            "Turns that were ended and that the caller went on with within 1.5 s, before an answer was heard.",
            registry=registry,
        )
        self._limited = Counter("avb_limited", "Requests and answers refused by a limit.", ["limit"], registry=registry)
        self._limited_locally = Counter(
            "avb_limits_local",
            "Checks of a limit answered by this process alone: the store was away.",
            registry=registry,
        )
        self._degraded = Gauge("avb_degraded", "1 while this mode is degraded.", ["mode"], registry=registry)
        self._store_memory = Gauge(
            "avb_store_memory_share", "Memory of the store, of its limit; 0 without one.", registry=registry
        )
        self._store_level = Gauge(
            "avb_store_memory_level", "0 free, 1 filling (no new calls), 2 nearly full.", registry=registry
        )
        self._pressure_s = Gauge(
            "avb_pressure_seconds",
            "How far the workers, or this process, are behind; new calls are delayed.",
            registry=registry,
        )
        self._speculation = Counter(
            "avb_speculation", "Responses begun before the end of the turn.", ["result"], registry=registry
        )
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Show what alerts and dashboards read before it happens: a counter that appears as 1 has not increased."""
        for kind in JOB_KINDS:
            for outcome in OUTCOMES:
                self._jobs.labels(kind, outcome)
        for result in ("begun", "resumed"):
            self._calls.labels(result)
        for code in OUR_REFUSALS:
            self._refusals.labels(code)
        for error_type in ERROR_TYPES:
            self._errors.labels(error_type)
        for limit in LIMITS:
            self._limited.labels(limit)
        for result in SPECULATIONS:
            self._speculation.labels(result)

    def event_handled(self, event_type: str, seconds: float) -> None:
        """A client event was read and its effects passed on."""
        event = among(event_type, CLIENT_EVENTS)
        self._events.labels(event).inc()
        self._message_s.labels(event).observe(seconds)

    def audio_read(self, byte_count: int) -> None:
        """An append was read; it has no effects of its own, so only number and size are counted."""
        self._appends.inc()
        self._audio_bytes.inc(byte_count)

    def step_taken(self, seconds: float) -> None:
        """The engine processed one input."""
        self._step_s.observe(seconds)

    def job_opened(self, kind: str) -> None:
        """A job was submitted."""
        self._jobs_open.labels(among(kind, JOB_KINDS)).inc()

    def job_over(self, kind: str, outcome: str, seconds: float) -> None:
        """A job is done, failed or cancelled; `seconds` since it was submitted."""
        kind = among(kind, JOB_KINDS)
        self._jobs_open.labels(kind).dec()
        self._jobs.labels(kind, among(outcome, OUTCOMES)).inc()
        if outcome == "done":
            self._job_s.labels(kind).observe(seconds)

    def first_result(self, kind: str, seconds: float) -> None:
        """A worker published a job's first result `seconds` after claiming it."""
        self._first_result_s.labels(among(kind, JOB_KINDS)).observe(max(0.0, seconds))

    def turn_answered(self, parts_ms: dict[str, float], speculation: str, session_id: str) -> None:
        """A turn's first audio was sent; `parts_ms` sum to the whole wait."""
        for part, part_ms in parts_ms.items():
            self._turn_part_s.labels(among(part, TURN_PARTS)).observe(part_ms / 1000)
        self._turn_s.observe(sum(parts_ms.values()) / 1000, {"trace_id": trace_id_of(session_id)})
        self._speculation.labels(among(speculation, SPECULATIONS)).inc()
        self.on_turn_answered(parts_ms)

    def error_sent(self, error_type: str) -> None:
        """An `error` event was sent to a client."""
        self._errors.labels(among(error_type, ERROR_TYPES)).inc()

    def call_began(self, *, is_resumed: bool) -> None:
        """A call was admitted and its session is there."""
        self._calls.labels("resumed" if is_resumed else "begun").inc()

    def refused(self, code: str | None) -> None:
        """A connection was refused; `code` of the error."""
        self._refusals.labels(among(code or NO_CREDENTIALS, REFUSALS)).inc()

    def audio_request_over(self, route: str, outcome: str) -> None:
        """A request to `/v1/audio` is done, failed, or was left by its client."""
        routes, outcomes = frozenset({"speech", "transcription"}), frozenset({"done", "failed", "left"})
        self._audio_requests.labels(among(route, routes), among(outcome, outcomes)).inc()

    def request_answered(self, route: str, status: int) -> None:
        """A REST request was answered; `route` is its pattern, of our own routes."""
        self._requests.labels(route, f"{status // 100}xx").inc()

    def interrupted(self) -> None:
        """The caller interrupted an answer."""
        self._interruptions.inc()

    def cut_off(self) -> None:
        """A turn was ended too early."""
        self._false_cutoffs.inc()

    def limited(self, limit: str) -> None:
        """A limit (`tenant.requests` and the like) refused something."""
        self._limited.labels(among(limit, LIMITS)).inc()

    def limited_locally(self) -> None:
        """A limit was checked without the store. Set an alarm on a lasting increase: gateways count separately then."""
        self._limited_locally.inc()

    def set_queue(self, kind: str, *, age_s: float, depth: int) -> None:
        """The unclaimed jobs of a kind: age of the oldest, and how many there are."""
        self._queue_age_s.labels(among(kind, JOB_KINDS)).set(age_s)
        self._queue_depth.labels(among(kind, JOB_KINDS)).set(depth)

    def set_store_memory(self, share: float, level: int) -> None:
        """How full the store is, and what follows from it."""
        self._store_memory.set(share)
        self._store_level.set(level)

    def set_degraded(self, modes: Mapping[str, bool], pressure_s: float) -> None:
        """Degraded modes, and how far work is behind."""
        for mode, holds in modes.items():
            self._degraded.labels(mode).set(holds)
        self._pressure_s.set(pressure_s)
