"""Metrics of workers, measured in the worker itself, so that a gateway's death loses none.

A process may work on several kinds of jobs; each kind is a label.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.telemetry.labels import JOB_KINDS, among
from agentvoicebox.telemetry.trace_ids import trace_id_of

OUTCOMES = ("done", "failed", "cancelled", "retried")
JOB_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
RUN_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)

BUSY_SLOTS = ("avb_worker_busy_slots", "Jobs that this process has claimed and not ended.")
BUSY_SECONDS = ("avb_worker_busy_seconds", "Time of slots with a job, also of jobs that still run.")
WAITING = ("avb_engine_waiting", "Runs of the engine that wait for a thread.")


class WorkerMetrics:
    """One process's.

    Args:
        registry: of the process.
        clock: monotonic seconds, for the time of busy slots.
    """

    def __init__(self, registry: CollectorRegistry, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._slots = Gauge(
            "avb_worker_slots", "Jobs that this process works on at a time.", ["kind"], registry=registry
        )
        self._job_s = Histogram(
            "avb_worker_job_seconds",
            "Time from claiming a job to its end; an utterance lasts as long as its caller speaks.",
            ["kind"],
            buckets=JOB_BUCKETS_S,
            registry=registry,
        )
        self._first_result_s = Histogram(
            "avb_worker_first_result_seconds",
            "Time from claiming a job to its first result.",
            ["kind"],
            buckets=JOB_BUCKETS_S,
            registry=registry,
        )
        self._jobs = Counter(
            "avb_worker_jobs",
            "Jobs that ended here; `retried` goes on elsewhere.",
            ["kind", "outcome"],
            registry=registry,
        )
        self._dead_letters = Counter(
            "avb_dead_letters", "Jobs given up: invalid, or failed at each attempt.", ["kind"], registry=registry
        )
        self._reclaimed = Counter(
            "avb_jobs_reclaimed",
            "Claimed jobs that an earlier worker had begun: it died, stopped or failed.",
            ["kind"],
            registry=registry,
        )
        self._engine_threads = Gauge(
            "avb_engine_threads", "Runs of the speech engine at a time.", ["kind"], registry=registry
        )
        self._run_s = Histogram(
            "avb_engine_run_seconds",
            "Time of one run of the speech engine: an utterance decoded, a chunk synthesised.",
            ["kind"],
            buckets=RUN_BUCKETS_S,
            registry=registry,
        )
        self._busy: dict[str, int] = {}
        self._busy_s: dict[str, float] = {}
        self._since_s: dict[str, float] = {}
        self._waiting: dict[str, Callable[[], int]] = {}
        registry.register(self)

    def works_on(self, kind: str, slots: int) -> None:
        """This process takes jobs of a kind, `slots` at a time. All its series begin with 0."""
        kind = among(kind, JOB_KINDS)
        self._slots.labels(kind).set(slots)
        self._busy.setdefault(kind, 0)
        self._count_busy(kind, 0)
        self._dead_letters.labels(kind)
        self._reclaimed.labels(kind)
        self._job_s.labels(kind)
        self._first_result_s.labels(kind)
        for outcome in OUTCOMES:
            self._jobs.labels(kind, outcome)

    def job_begun(self, kind: str, attempt: int) -> None:
        """A job was claimed; `attempt` is 1 for a new one."""
        kind = among(kind, JOB_KINDS)
        self._count_busy(kind, +1)
        if attempt > 1:
            self._reclaimed.labels(kind).inc()

    def first_result(self, kind: str, seconds: float) -> None:
        """The first result was published, `seconds` after the claim."""
        self._first_result_s.labels(among(kind, JOB_KINDS)).observe(max(0.0, seconds))

    def job_over(self, kind: str, outcome: str, seconds: float, session_id: str) -> None:
        """A job ended here, `seconds` after its claim; of `OUTCOMES`, those but `retried` are its end."""
        kind = among(kind, JOB_KINDS)
        self._count_busy(kind, -1)
        self._jobs.labels(kind, among(outcome, frozenset(OUTCOMES))).inc()
        self._job_s.labels(kind).observe(max(0.0, seconds), {"trace_id": trace_id_of(session_id)})

    def dead_letter(self, kind: str) -> None:
        """A job was given up."""
        self._dead_letters.labels(among(kind, JOB_KINDS)).inc()

    def has_engine(self, kind: str, threads: int, waiting: Callable[[], int]) -> None:
        """Jobs of a kind share `threads` runs of an engine; `waiting` counts those that wait for one."""
        kind = among(kind, JOB_KINDS)
        self._engine_threads.labels(kind).set(threads)
        self._run_s.labels(kind)
        self._waiting[kind] = waiting

    def engine_ran(self, kind: str, seconds: float) -> None:
        """The engine ran once. May be called from any thread."""
        self._run_s.labels(among(kind, JOB_KINDS)).observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        slots, seconds, waiting = _families()
        for kind, busy in self._busy.items():
            self._count_busy(kind, 0)
            slots.add_metric([kind], busy)
            seconds.add_metric([kind], self._busy_s[kind])
        for kind, count in self._waiting.items():
            waiting.add_metric([kind], count())
        yield from (slots, seconds, waiting)

    def describe(self) -> Iterator[Metric]:
        """See prometheus_client."""
        yield from _families()

    def _count_busy(self, kind: str, change: int) -> None:
        now_s = self._clock.monotonic_s()
        busy = self._busy.get(kind, 0)
        self._busy_s[kind] = self._busy_s.get(kind, 0.0) + busy * (now_s - self._since_s.get(kind, now_s))
        self._since_s[kind] = now_s
        self._busy[kind] = busy + change


def _families() -> tuple[GaugeMetricFamily, CounterMetricFamily, GaugeMetricFamily]:
    return (
        GaugeMetricFamily(*BUSY_SLOTS, labels=["kind"]),
        CounterMetricFamily(*BUSY_SECONDS, labels=["kind"]),
        GaugeMetricFamily(*WAITING, labels=["kind"]),
    )
