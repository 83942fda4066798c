"""Metrics of the export of traces."""

from prometheus_client import CollectorRegistry, Counter

OUTCOMES = ("sent", "failed", "dropped")


class TraceMetrics:
    """Of one process; called from its exporting thread as well."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._turns = Counter(
            "avb_traces",
            "Turns and ends of calls whose spans were sent, could not be sent, or were dropped because too many waited.",
            ["outcome"],
            registry=registry,
        )
        for outcome in OUTCOMES:
            self._turns.labels(outcome)

    def counted(self, outcome: str, count: int = 1) -> None:
        """`sent`, `failed` or `dropped`."""
        self._turns.labels(outcome).inc(count)
