"""Circuit breakers of a process: those in front of language models, speech engines, tools, sources, and the policy server.

States are read when the page is, so a breaker is there from the start, closed.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric

from agentvoicebox.resilience.breaker import BreakerState

OPENNESS = {BreakerState.CLOSED: 0.0, BreakerState.HALF_OPEN: 0.5, BreakerState.OPEN: 1.0}

States = Callable[[], Mapping[str, BreakerState]]


class BreakerMetrics:
    """One process's. Names come from its configuration, never from a client."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sources: list[States] = []
        self._changes = Counter("avb_breaker_changes", "Changes of a breaker.", ["name", "to"], registry=registry)
        registry.register(self)

    def watch(self, states: States) -> None:
        """Export these breakers from now on. Of two with one name, the more open one is shown."""
        self._sources.append(states)

    def changed(self, name: str, after: BreakerState) -> None:
        """A breaker changed its state."""
        self._changes.labels(name, after.value).inc()

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        openness: dict[str, float] = {}
        for states in self._sources:
            for name, state in states().items():
                openness[name] = max(openness.get(name, 0.0), OPENNESS[state])
        family = GaugeMetricFamily("avb_breaker_open", "1 open, 0.5 half open, 0 closed.", labels=["name"])
        for name, value in sorted(openness.items()):
            family.add_metric([name], value)
        yield family

    def describe(self) -> Iterator[Metric]:
        """See prometheus_client: the registry learns the name without asking for states."""
        yield GaugeMetricFamily("avb_breaker_open", "1 open, 0.5 half open, 0 closed.", labels=["name"])
