"""Metrics of events for other systems: what became of each attempt, how late events are, and how busy the deliverer is."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agentvoicebox.ports.event_sink import DestinationKind

_RESULTS = ("taken", "refused", "dead")
_KINDS: tuple[DestinationKind, ...] = ("webhook", "kafka")
_ATTEMPT_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_DELAY_S = (0.1, 0.5, 1, 2, 5, 10, 60, 300, 1_800, 7_200, 21_600, 86_400)


class EventMetrics:
    """One process's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "avb_event_attempts",
            "Attempts to send an event, by what became of it; dead: it is not tried again.",
            ["kind", "result"],
            registry=registry,
        )
        self._attempt_s = Histogram(
            "avb_event_attempt_seconds", "Length of an attempt.", ["kind"], buckets=_ATTEMPT_S, registry=registry
        )
        self._delay_s = Histogram(
            "avb_event_delay_seconds",
            "From the record of an event until its receiver took it.",
            ["kind"],
            buckets=_DELAY_S,
            registry=registry,
        )
        self._lanes = Gauge("avb_event_lanes", "Sessions whose events are being sent now.", registry=registry)
        for kind in _KINDS:
            for result in _RESULTS:
                self._attempts.labels(kind, result)

    def attempted(self, kind: DestinationKind, took_s: float, *, is_taken: bool, age_s: float) -> None:
        """An attempt is over; the event had been due for `age_s` when it began."""
        self._attempts.labels(kind, "taken" if is_taken else "refused").inc()
        self._attempt_s.labels(kind).observe(took_s)
        if is_taken:
            self._delay_s.labels(kind).observe(max(0.0, age_s) + took_s)

    def died(self, kind: DestinationKind) -> None:
        """An event became a dead letter."""
        self._attempts.labels(kind, "dead").inc()

    def serves(self, lanes: int) -> None:
        """So many lanes are served now."""
        self._lanes.set(lanes)
