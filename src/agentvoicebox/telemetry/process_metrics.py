"""Metrics that every process has: what it is, its memory and processor time, and how late its event loop is."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry, Gauge, GCCollector, Histogram, PlatformCollector, ProcessCollector

from agentvoicebox import __version__

EVERY_S = 0.5
LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class ProcessMetrics:
    """One process's. `process_…`, `python_…` are prometheus-client's own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._info = Gauge("avb_info", "1 for each role of this process.", ["role", "version"], registry=registry)
        self._lag_s = Histogram(
            "avb_loop_lag_seconds",
            "How late the event loop runs a timer, measured each half second.",
            buckets=LAG_BUCKETS_S,
            registry=registry,
        )

    def serves(self, role: str) -> None:
        """This process runs a role; `role` is one of the deployment's own names."""
        self._info.labels(role, __version__).set(1)

    def loop_was_late(self, seconds: float) -> None:
        """The event loop ran a timer `seconds` after it was due."""
        self._lag_s.observe(max(0.0, seconds))

    @contextlib.asynccontextmanager
    async def watching_loop(self, every_s: float = EVERY_S) -> AsyncIterator[None]:
        """Measure the running event loop for the duration of the block."""
        watching = asyncio.create_task(self._watch(every_s), name="event loop lag")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, every_s: float) -> None:
        while True:
            due_s = time.perf_counter() + every_s
            await asyncio.sleep(every_s)
            self.loop_was_late(time.perf_counter() - due_s)
