"""Prometheus metrics of the webhook server. The values of every label are a closed set, so senders can't add series."""

from collections.abc import Set

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agentvoicebox.telemetry.connection_metrics import ConnectionMetrics
from agentvoicebox.telemetry.labels import among

# A cached answer takes about a millisecond; the deadline of a batch is 4 s.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.0, 2.0, 4.0, 5.0)


class WebhookMetrics:
    """The metrics of one process.

    Args:
        registry: the registry, shared with the kits' metrics.
        messages: the known message types.
        routes: labels of the routes.
        codes: outcome codes of tool calls.
    """

    def __init__(self, registry: CollectorRegistry, *, messages: Set[str], routes: Set[str], codes: Set[str]) -> None:
        self.registry = registry
        self.tcp = ConnectionMetrics(registry)
        self._known_messages = messages
        self._known_routes = routes
        self._known_codes = codes
        self._request_s = Histogram(
            "avb_webhook_seconds", "Time to answer a request.", ["route"], buckets=BUCKETS_S, registry=registry
        )
        self._requests = Counter("avb_webhook_requests", "Requests answered.", ["route", "status"], registry=registry)
        self._messages = Counter("avb_webhook_messages", "Messages of the platform.", ["type"], registry=registry)
        self._outcomes = Counter("avb_webhook_tool_outcomes", "Tool calls answered.", ["code"], registry=registry)
        self._replays = Counter("avb_webhook_replays", "Tool calls answered from memory.", registry=registry)
        self.in_flight = Gauge("avb_webhook_in_flight", "Requests being answered.", registry=registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        route = among(route, self._known_routes)
        self._requests.labels(route, str(status)).inc()
        self._request_s.labels(route).observe(seconds)

    def message_read(self, message_type: str) -> None:
        """A message arrived."""
        self._messages.labels(among(message_type, self._known_messages)).inc()

    def tool_answered(self, code: str) -> None:
        """A tool call got its outcome."""
        self._outcomes.labels(among(code, self._known_codes)).inc()

    def replayed(self) -> None:
        """A tool call was answered from memory."""
        self._replays.inc()
