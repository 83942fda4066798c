"""The hotline's numbers for Prometheus. Every label takes its values from a closed set, so no sender can make series grow."""

from collections.abc import Callable, Iterator, Set

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox_delivery.sources.budget import Source
from agentvoicebox_delivery.sources.cache import CacheStats

OTHER = "other"
DOORS = frozenset({"vapi", "track", "tools", "sanity"})
OUTCOMES = frozenset(
    {
        "FOUND",
        "NOT_FOUND",
        "INVALID_ID",
        "INVALID_ARGUMENTS",
        "CONFIRM",
        "AMBIGUOUS",
        "UNAVAILABLE",
        "ERROR",
        "UNKNOWN_TOOL",
        "TOO_MANY_CALLS",
    }
)
# A cached answer takes about a millisecond; the budget of a look-up is 0.5 s, the last deadline 4 s.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.0, 2.0, 4.0, 5.0)


class HotlineMetrics:
    """One process's numbers, in a registry of their own.

    Args:
        messages: the known message types.
    """

    def __init__(self, messages: frozenset[str]) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._known_messages = messages
        self._request_s = Histogram(
            "avb_webhook_seconds", "Time to answer a request.", ["door"], buckets=BUCKETS_S, registry=registry
        )
        self._requests = Counter("avb_webhook_requests", "Requests answered.", ["door", "status"], registry=registry)
        self._messages = Counter("avb_webhook_messages", "Messages of the platform.", ["type"], registry=registry)
        self._outcomes = Counter("avb_webhook_tool_outcomes", "Tool calls answered.", ["code"], registry=registry)
        self._replays = Counter("avb_webhook_replays", "Tool calls answered from memory.", registry=registry)
        self.in_flight = Gauge("avb_webhook_in_flight", "Requests being answered.", registry=registry)
        self._sources = Counter("avb_shipments_answers", "Where answers came from.", ["source"], registry=registry)
        self._attempts = Counter("avb_sanity_attempts", "Requests to Sanity.", ["kind"], registry=registry)
        self._attempt_s = Histogram(
            "avb_sanity_attempt_seconds", "Time of one request to Sanity.", buckets=BUCKETS_S, registry=registry
        )
        self._breaker = Gauge("avb_breaker_open", "1 open, 0.5 half open, 0 closed.", ["name"], registry=registry)
        self._changes = Counter("avb_breaker_changes", "Changes of a breaker.", ["name", "to"], registry=registry)

    def answered(self, door: str, status: int, seconds: float) -> None:
        """A request was answered."""
        door = door if door in DOORS else OTHER
        self._requests.labels(door, str(status)).inc()
        self._request_s.labels(door).observe(seconds)

    def message_read(self, message_type: str) -> None:
        """A message came."""
        self._messages.labels(_among(message_type, self._known_messages)).inc()

    def tool_answered(self, code: str) -> None:
        """A tool call got its outcome."""
        self._outcomes.labels(_among(code, OUTCOMES)).inc()

    def replayed(self) -> None:
        """A tool call was answered from memory."""
        self._replays.inc()

    def looked_up(self, source: Source) -> None:
        """A look-up came to an answer."""
        self._sources.labels(source.value).inc()

    def sanity_attempt(self, kind: str, seconds: float) -> None:
        """A request to Sanity ended; `kind` is of `shipments.sanity_answer`."""
        self._attempts.labels(str(kind)).inc()
        self._attempt_s.observe(seconds)

    def breaker_changed(self, name: str, after: BreakerState) -> None:
        """A breaker changed its state."""
        self._breaker.labels(name).set({BreakerState.CLOSED: 0.0, BreakerState.HALF_OPEN: 0.5}.get(after, 1.0))
        self._changes.labels(name, after.value).inc()

    def watch_cache(self, stats: Callable[[], CacheStats]) -> None:
        """Have the cache's counts on the page from now on."""
        self._registry.register(_CacheNumbers(stats))

    def page(self) -> bytes:
        """The text that Prometheus scrapes (content type `text/plain; version=0.0.4`)."""
        return generate_latest(self._registry)


class _CacheNumbers:
    """Reads the cache when it is scraped. For CollectorRegistry."""

    def __init__(self, stats: Callable[[], CacheStats]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        stats = self._stats()
        counts = CounterMetricFamily("avb_cache_lookups", "Look-ups, by what the memory knew.", labels=["result"])
        for result in ("hits", "negative", "misses", "joins", "stale", "unavailable"):
            counts.add_metric([result], float(getattr(stats, result)))
        yield counts
        yield GaugeMetricFamily("avb_cache_parcels", "Parcels remembered.", value=float(stats.size))
        yield GaugeMetricFamily("avb_cache_hit_ratio", "Hits of all look-ups, 0 to 1.", value=stats.hit_ratio)


def _among(value: str, known: Set[str]) -> str:
    return value if value in known else OTHER
