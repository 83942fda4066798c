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
from agentvoicebox.errors import AgentVoiceBoxError, BrokerLost, InfrastructureError
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.telemetry.process_report import CheckResult

EVERY_S = 1.0

HealthCheck = Callable[[], Awaitable[frozenset[str]]]

_log = structlog.get_logger(__name__)


class WorkerHealth:
    """Health of one worker. Use `watching` around its work.

    Attributes:
        away: the engines that were away at the last check; `ALL` when none works.
    """

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
        self.away: frozenset[str] = frozenset()

    def suspect(self) -> None:
        """An engine failed: start checking."""
        self._is_suspected.set()

    async def state(self) -> CheckResult:
        """The engines, for `ProcessReport.needs`: as the last check found them."""
        if not self.away:
            return CheckResult()
        return CheckResult("down" if ALL in self.away else "away", ", ".join(sorted(self.away - {ALL})))

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
        while True:
            await self._is_suspected.wait()
            self._is_suspected.clear()
            while unhealthy := await self._check():
                if unhealthy != self.away:
                    _log.warning("engines are away", kind=self._kind, engines=sorted(unhealthy))
                self.away = unhealthy
                await self._report(unhealthy)
                await asyncio.sleep(self._every_s)
            if self.away:
                _log.info("engines are back", kind=self._kind, engines=sorted(self.away))
                self.away = frozenset()
                await self._report(self.away)

    async def _report(self, unhealthy: frozenset[str]) -> None:
        # without the store no gateway could act on it; it is reported again in a second
        with contextlib.suppress(BrokerLost):
            await self._monitor.report_unhealthy(self._kind, self._worker, unhealthy)


def single_engine_check(check: Callable[[], Awaitable[object]]) -> HealthCheck:
    """The check of a worker with one engine: everything is away when `check` raises. The first failure of a row is logged."""
    is_failing = False

    async def check_once() -> frozenset[str]:
        nonlocal is_failing
        try:
            await check()
        except Exception as error:
            if not is_failing:
                # The message of a foreign error may contain people's words.
                reason = error.message if isinstance(error, AgentVoiceBoxError) else type(error).__name__
                _log.warning("an engine failed its test", reason=reason)
            is_failing = True
            return frozenset({ALL})
        is_failing = False
        return frozenset()

    return check_once


def backend_check(check: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[CheckResult]]:
    """A server that the role can be without for a while; `check` raises InfrastructureError while it is away."""

    async def ask() -> CheckResult:
        try:
            await check()
        except InfrastructureError as error:
            return CheckResult("away", error.message)
        return CheckResult()

    return ask
