"""Metrics of the recorder: what waits to be written, what was written, and what PostgreSQL refused."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agentvoicebox.telemetry.labels import among

TABLES = ("sessions", "conversation_items", "responses", "turns", "call_audio", "usage_entries")
WRITE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class RecorderMetrics:
    """One process's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waiting = Gauge(
            "avb_records_waiting", "Batches that this process has claimed and not written.", registry=registry
        )
        self._written = Counter("avb_records_written", "Rows written to PostgreSQL.", ["table"], registry=registry)
        self._refused = Counter(
            "avb_records_refused", "Batches that can't be read, or that PostgreSQL can't hold.", registry=registry
        )
        self._write_s = Histogram(
            "avb_records_write_seconds", "Time of one transaction.", buckets=WRITE_BUCKETS_S, registry=registry
        )
        for table in TABLES:
            self._written.labels(table)

    def watch_waiting(self, count: Callable[[], int]) -> None:
        """Export how many batches wait, from now on."""
        self._waiting.set_function(count)

    def written(self, rows: Mapping[str, int], seconds: float) -> None:
        """A transaction wrote these rows, by table, in `seconds`."""
        for table, count in rows.items():
            self._written.labels(among(table, frozenset(TABLES))).inc(count)
        self._write_s.observe(seconds)

    def refused(self) -> None:
        """A batch will never be written; it becomes a dead letter."""
        self._refused.inc()
