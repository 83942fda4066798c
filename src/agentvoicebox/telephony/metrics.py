"""Metrics of telephone calls."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from agentvoicebox.telemetry.connection_metrics import ConnectionMetrics


class TelephonyMetrics:
    """Registered in the registry of their process. `tcp`: of the port's connections."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tcp = ConnectionMetrics(registry)
        self._active = Gauge("avb_telephone_calls", "Telephone calls in progress.", ["provider"], registry=registry)
        self._ended = Counter(
            "avb_telephone_calls_ended_total",
            "Telephone calls, by how they ended.",
            ["provider", "outcome"],
            registry=registry,
        )
        self._refused = Counter(
            "avb_telephone_refusals_total", "Refused requests of telephony providers.", ["provider", "reason"],
            registry=registry,
        )  # fmt: skip

    def began(self, provider: str) -> None:
        """A call was taken."""
        self._active.labels(provider).inc()

    def ended(self, provider: str, outcome: str) -> None:
        """It is over."""
        self._active.labels(provider).dec()
        self._ended.labels(provider, outcome).inc()

    def refused(self, provider: str, reason: str) -> None:
        """A request was refused: `signature`, `token`, `capacity`, `unreadable`, or the code of a call that was not made."""
        self._refused.labels(provider, reason).inc()
