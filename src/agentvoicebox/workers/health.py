"""Reports the engines that a live worker lacks to the gateways, for as long as they are away.

Silent while all engines work. A failure starts a check every second, reported each time, until all engines work again. The
role defines the check: a request to a server, or a short synthesis.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from agentvoicebox.broker.store_health import ALL, StoreHealthMonitor
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import JobKind

EVERY_S = 1.0

HealthCheck = Callable[[], Awaitable[frozenset[str]]]

_log = structlog.get_logger(__name__)


class WorkerHealth:
    """Health of one worker. Use `watching` around its work."""

    def __init__(
        self, monitor: StoreHealthMonitor, kind: JobKind, worker: str, check: HealthCheck, *, every_s: float = EVERY_S
    ) -> None:
        """`check` returns the engines that are away (none: the worker is healthy)."""
        self._monitor = monitor
        self._kind = kind
        self._worker = worker
        self._check = check
        self._every_s = every_s
        self._is_suspected = asyncio.Event()

    def suspect(self) -> None:
        """An engine failed: start checking."""
        self._is_suspected.set()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Monitor the worker for the duration of the block."""
        watching = asyncio.create_task(self._watch(), name=f"{self._worker} health")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        known: frozenset[str] = frozenset()
        while True:
            await self._is_suspected.wait()
            self._is_suspected.clear()
            while unhealthy := await self._check():
                if unhealthy != known:
                    _log.warning("engines are away", kind=self._kind, engines=sorted(unhealthy))
                known = unhealthy
                await self._report(unhealthy)
                await asyncio.sleep(self._every_s)
            if known:
                _log.info("engines are back", kind=self._kind, engines=sorted(known))
                known = frozenset()
                await self._report(known)

    async def _report(self, unhealthy: frozenset[str]) -> None:
        # without the store no gateway could act on it; it is reported again in a second
        with contextlib.suppress(BrokerLost):
            await self._monitor.report_unhealthy(self._kind, self._worker, unhealthy)


def single_engine_check(check: Callable[[], Awaitable[object]]) -> HealthCheck:
    """The check of a worker with one engine: everything is away when `check` raises."""

    async def check_once() -> frozenset[str]:
        try:
            await check()
        except Exception as error:
            _log.debug("a check failed", error=type(error).__name__)  # a foreign message may contain people's words
            return frozenset({ALL})
        return frozenset()

    return check_once
