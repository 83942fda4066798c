"""What one process tells its operators: its metrics, and whether its roles can work.

Ready means: every role has started, none is leaving, and nothing that a role can't work without is away. Dependencies are asked
for each request, at most once a second.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from prometheus_client import CollectorRegistry

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.telemetry.breaker_metrics import BreakerMetrics
from agentvoicebox.telemetry.metrics_page import metrics_page
from agentvoicebox.telemetry.process_metrics import ProcessMetrics
from agentvoicebox.telemetry.worker_metrics import WorkerMetrics

CHECK_TIMEOUT_S = 1.5  # what takes longer counts as down
ANSWER_FOR_S = 1.0  # how long an answer is given again

LIVE = {"status": "ok"}


class CheckResult(msgspec.Struct, frozen=True):
    """One thing that a role needs.

    Attributes:
        status: `ok`; `away`: the role goes on without it; `down`: it can't work.
        reason: for operators; "" when the status is `ok`.
    """

    status: Literal["ok", "away", "down"] = "ok"
    reason: str = ""


Check = Callable[[], Awaitable[CheckResult]]


class ProcessReport:
    """One process's.

    Args:
        name: of the process.
        clock: for the age of answers.

    Attributes:
        registry: of all metrics of the process.
        workers, breakers, process: metrics that several roles of a process share.
        leaving: set when the process drains.
    """

    def __init__(self, name: str = "", *, clock: Clock | None = None, leaving: asyncio.Event | None = None) -> None:
        self.name = name
        self.registry = CollectorRegistry()
        self.process = ProcessMetrics(self.registry)
        self.workers = WorkerMetrics(self.registry)
        self.breakers = BreakerMetrics(self.registry)
        self.leaving = asyncio.Event() if leaving is None else leaving
        self._clock = clock or SystemClock()
        self._roles: dict[str, bool] = {}
        self._checks: dict[str, Check] = {}
        self._states: dict[str, CheckResult] = {}
        self._checked_s: float | None = None
        self._checking = asyncio.Lock()

    def serves(self, role: str) -> None:
        """A role begins here."""
        self._roles[role] = False
        self.process.serves(role)

    def is_ready(self, role: str) -> None:
        """A role can take work: its engines are loaded."""
        self._roles[role] = True

    def needs(self, name: str, check: Check) -> None:
        """Ask this from now on before the process calls itself ready. The last check of a name counts."""
        self._checks[name] = check

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics and their content type; see `metrics_page`."""
        return metrics_page(self.registry, accept)

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        """The HTTP status and the body: 200 while the process can work, even if something is away."""
        states = await self._dependencies()
        found = {each.status for each in states.values()}
        if self.leaving.is_set():
            status = "leaving"
        elif not all(self._roles.values()):
            status = "starting"
        elif "down" in found:
            status = "not ready"
        else:
            status = "degraded" if "away" in found else "ready"
        body = {
            "status": status,
            "roles": {role: "ready" if is_ready else "starting" for role, is_ready in self._roles.items()},
            "dependencies": {name: _shown(state) for name, state in states.items()},
        }
        return 200 if status in ("ready", "degraded") else 503, body

    async def _dependencies(self) -> dict[str, CheckResult]:
        async with self._checking:  # many that ask at once cost one check
            now_s = self._clock.monotonic_s()
            if self._checked_s is None or now_s - self._checked_s >= ANSWER_FOR_S:
                names, checks = tuple(self._checks), tuple(self._checks.values())
                states = await asyncio.gather(*(_within_time(check) for check in checks))
                self._states = dict(zip(names, states, strict=True))
                self._checked_s = self._clock.monotonic_s()
            return self._states


async def _within_time(check: Check) -> CheckResult:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return CheckResult("down", f"no answer within {CHECK_TIMEOUT_S} s")
    except Exception as error:  # a foreign message may contain people's words
        return CheckResult("down", type(error).__name__)


def _shown(state: CheckResult) -> dict[str, str]:
    return {"status": state.status} | ({"reason": state.reason} if state.reason else {})
