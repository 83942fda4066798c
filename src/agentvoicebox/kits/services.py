"""What a kit gives while its tools are served: the tools, further routes of the webhook server, and the state of its backends."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.tools.definition import Tool


@dataclass(frozen=True)
class KitContext:
    """What a kit may use while it serves.

    Attributes:
        metrics: where it registers its Prometheus metrics; they are exported by the webhook server alone.
        clock: for time to live and timeouts.
    """

    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: Clock = field(default_factory=SystemClock)


class DependencyState(msgspec.Struct, frozen=True):
    """The state of a backend at its last check.

    Attributes:
        status: `ok`; `away`: it answered before and may answer again; `down`: somebody has to look at it.
        reason: for people; "" when it is well.
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
        """Check again and again until `stop` is set, so that readiness is known without a request to the backend."""


class ToolRoute(msgspec.Struct, frozen=True):
    """One more REST address of a tool. The body is the arguments, or holds them as `args` (as Retell sends them).

    Attributes:
        path: like `/v1/track`.
        label: of the route in metrics.
        tool: the tool's name.
        field: the argument that refusals are about.
        fault: a body that gave no valid arguments → (kind, message) of its refusal.
    """

    path: str
    label: str
    summary: str
    tool: str
    field: str
    fault: Callable[[Mapping[str, Any]], tuple[str, str]]


class NoticeRoute(msgspec.Struct, frozen=True):
    """An address where a backend says that something has changed.

    Attributes:
        path: like `/sanity/webhook`.
        label: of the route in metrics.
        handle: (body, headers, Unix time) → the answer's JSON. Raises BadCredentials or InvalidEvent.
    """

    path: str
    label: str
    summary: str
    handle: Callable[[bytes, Mapping[str, str], float], dict[str, Any]]


@dataclass(frozen=True)
class KitServices:
    """What a kit serves.

    Attributes:
        tools: one for each definition of the kit.
        aliases: name in a hosted platform's dashboard → the tool's own name.
        check: raises InfrastructureError while the tools could not answer; a worker waits for it at start. None: no need to wait.
        dependencies: backends, for `/readyz`.
        tool_routes, notice_routes: further addresses of the webhook server's public port.
        internal: further routes of its internal port, which checks no credentials.
    """

    tools: tuple[Tool, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[], Awaitable[None]] | None = None
    dependencies: tuple[Dependency, ...] = ()
    tool_routes: tuple[ToolRoute, ...] = ()
    notice_routes: tuple[NoticeRoute, ...] = ()
    internal: APIRouter | None = None
