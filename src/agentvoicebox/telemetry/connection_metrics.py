"""Metrics of the TCP connections of a port, for every role that has one."""

from prometheus_client import CollectorRegistry, Counter, Gauge

REASONS = ("source_limit", "limit", "silent", "request_timeout", "fragments")


class ConnectionMetrics:
    """Implements `http_server.connection_table.ConnectionObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge("avb_tcp_connections", "Open TCP connections of the public port.", registry=registry)
        self._unadmitted = Gauge(
            "avb_tcp_connections_unadmitted", "Those of them that showed nothing that was admitted.", registry=registry
        )
        self._limit = Gauge("avb_tcp_connections_limit", "Most that may be open.", registry=registry)
        self._dropped = Counter(
            "avb_tcp_connections_dropped", "Connections closed to protect the others.", ["reason"], registry=registry
        )
        for reason in REASONS:
            self._dropped.labels(reason)

    def set_limit(self, most: int) -> None:
        """The bound of the table."""
        self._limit.set(most)

    def connections_changed(self, total: int, unadmitted: int) -> None:
        """See ConnectionObserver."""
        self._open.set(total)
        self._unadmitted.set(unadmitted)

    def connection_dropped(self, reason: str) -> None:
        """See ConnectionObserver."""
        self._dropped.labels(reason if reason in REASONS else "other").inc()
