"""What a kit provides while its tools run: the tools, routes of the webhook server, and the state of its backends."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.tools.definition import Tool

if TYPE_CHECKING:  # every process that knows a kit loads this file; only the webhook server needs these
    from fastapi import APIRouter
    from prometheus_client import CollectorRegistry

    from agentvoicebox.telemetry.breaker_metrics import BreakerMetrics


def _registry() -> "CollectorRegistry":
    from prometheus_client import CollectorRegistry

    return CollectorRegistry()


def _breakers() -> "BreakerMetrics":
    from agentvoicebox.telemetry.breaker_metrics import BreakerMetrics

    return BreakerMetrics(_registry())


@dataclass(frozen=True)
class KitContext:
    """What the platform passes to `AgentKit.serve`.

    Attributes:
        metrics: registry for the kit's Prometheus metrics, that of its process: the webhook server, or a worker.
        clock: for times to live and timeouts.
        breakers: where the circuit breakers of the kit's backends are exported.
    """

    metrics: "CollectorRegistry" = field(default_factory=_registry)
    clock: Clock = field(default_factory=SystemClock)
    breakers: "BreakerMetrics" = field(default_factory=_breakers)


class DependencyState(msgspec.Struct, frozen=True):
    """The state of a backend at its last check.

    Attributes:
        status: `ok`; `away`: it answered before, and the failure may pass; `down`: an operator must act.
        reason: for operators; "" when the status is `ok`.
        checked_s: monotonic seconds of the check.
    """

    status: str
    reason: str = ""
    checked_s: float = 0.0


class Dependency(Protocol):
    """A backend whose state `/readyz` reports."""

    label: str
    state: DependencyState

    def report(self) -> dict[str, Any]:
        """The state as JSON-able data."""

    async def keep_checking(self, stop: asyncio.Event) -> None:
        """Check periodically until `stop` is set, so that `/readyz` needs no request to the backend."""


class ToolRoute(msgspec.Struct, frozen=True):
    """An additional REST route of a tool. The body is the arguments, or has them in `args` (as Retell sends them).

    Attributes:
        path: for example `/v1/track`.
        label: label of the route in metrics.
        tool: the tool's name.
        field: the argument that a 422 names.
        fault: a body without valid arguments → (kind, message) of the 422.
    """

    path: str
    label: str
    summary: str
    tool: str
    field: str
    fault: Callable[[Mapping[str, Any]], tuple[str, str]]


class NoticeRoute(msgspec.Struct, frozen=True):
    """A route where a backend reports changes.

    Attributes:
        path: for example `/sanity/webhook`.
        label: label of the route in metrics.
        handle: (body, headers, Unix time) → the answer's JSON. Raises BadCredentials or InvalidEvent.
    """

    path: str
    label: str
    summary: str
    handle: Callable[[bytes, Mapping[str, str], float], dict[str, Any]]


@dataclass(frozen=True)
class KitServices:
    """The services of a running kit.

    Attributes:
        tools: one for each definition of the kit.
        aliases: name in a hosted platform's dashboard → the tool's own name.
        check: raises InfrastructureError while the tools can't answer; a worker waits for it at start. None: no wait.
        dependencies: backends that `/readyz` reports.
        tool_routes, notice_routes: additional routes of the webhook server's public port.
        internal: makes additional routes of its internal port, which checks no credentials.
    """

    tools: tuple[Tool, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[], Awaitable[None]] | None = None
    dependencies: tuple[Dependency, ...] = ()
    tool_routes: tuple[ToolRoute, ...] = ()
    notice_routes: tuple[NoticeRoute, ...] = ()
    internal: "Callable[[], APIRouter] | None" = None
