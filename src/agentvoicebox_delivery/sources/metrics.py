"""Prometheus metrics of the look-up: origin of answers, requests to Sanity, the cache."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agentvoicebox_delivery.sources.budget import AnswerSource
from agentvoicebox_delivery.sources.cache import CacheStats

ATTEMPT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.0, 2.0, 4.0, 5.0)


class LookUpMetrics:
    """The look-up's metrics in one process.

    Args:
        registry: registry of the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._sources = Counter(
            "avb_shipments_answers", "Look-ups by origin of the answer.", ["source"], registry=registry
        )
        self._attempts = Counter("avb_sanity_attempts", "Requests to Sanity.", ["kind"], registry=registry)
        self._attempt_s = Histogram(
            "avb_sanity_attempt_seconds", "Time of one request to Sanity.", buckets=ATTEMPT_BUCKETS_S, registry=registry
        )

    def looked_up(self, source: AnswerSource) -> None:
        """A look-up has ended."""
        self._sources.labels(source.value).inc()

    def sanity_attempt(self, kind: str, seconds: float) -> None:
        """A request to Sanity has ended; `kind` is a `sources.sanity_answer.Kind`."""
        self._attempts.labels(str(kind)).inc()
        self._attempt_s.observe(seconds)

    def watch_cache(self, stats: Callable[[], CacheStats]) -> None:
        """Export the cache's counts from now on."""
        self._registry.register(_CacheMetrics(stats))


class _CacheMetrics:
    """Reads the cache when metrics are scraped. For CollectorRegistry."""

    def __init__(self, stats: Callable[[], CacheStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        stats = self._stats()
        counts = CounterMetricFamily("avb_cache_lookups", "Look-ups by result of the cache.", labels=["result"])
        for result in ("hits", "negative", "misses", "joins", "stale", "unavailable"):
            counts.add_metric([result], float(getattr(stats, result)))
        yield counts
        yield GaugeMetricFamily("avb_cache_parcels", "Parcels in the cache.", value=float(stats.size))
        yield GaugeMetricFamily(
            "avb_cache_hit_ratio", "Share of hits among all look-ups, 0 to 1.", value=stats.hit_ratio
        )
