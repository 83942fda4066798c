"""Metrics of the janitor: whether it sweeps, and how many sessions it had to end."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class JanitorMetrics:
    """One process's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter("avb_janitor_runs", "Sweeps.", ["result"], registry=registry)
        self._ended = Counter(
            "avb_janitor_sessions_ended", "Sessions ended because their gateway was gone.", registry=registry
        )
        self._last_run_s = Gauge(
            "avb_janitor_last_run_timestamp_seconds", "Unix time of the last sweep that was done.", registry=registry
        )
        for result in ("done", "failed"):
            self._runs.labels(result)

    def swept(self, ended: int) -> None:
        """A sweep was done; it ended so many sessions."""
        self._runs.labels("done").inc()
        self._ended.inc(ended)
        self._last_run_s.set_to_current_time()

    def failed(self) -> None:
        """A sweep failed: the store was away."""
        self._runs.labels("failed").inc()
