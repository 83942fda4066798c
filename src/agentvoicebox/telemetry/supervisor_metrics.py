"""Metrics of the supervisor: which of its processes live, and how often it had to start them again."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class SupervisorMetrics:
    """One process's. `child` is the name of a process or of an embedded server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge("avb_child_up", "1 while a process is ready.", ["child"], registry=registry)
        self._restarts = Counter(
            "avb_child_restarts", "Processes that died unexpectedly.", ["child"], registry=registry
        )

    def knows(self, child: str) -> None:
        """A child will be started; its series begin with 0."""
        self._up.labels(child).set(0)
        self._restarts.labels(child)

    def changed(self, child: str, state: str) -> None:
        """A child is `starting`, `ready`, `died`, `stopping` or `stopped`."""
        self._up.labels(child).set(state == "ready")
        if state == "died":
            self._restarts.labels(child).inc()
