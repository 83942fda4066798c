"""`GET /v1/admin/status`: the state of the deployment as one gateway sees it, for operators.

One reading serves everybody for a second, so ten open pages cost as much as one. It asks the store a handful of short questions
at once; workers and queue ages are those of the last health check. It has no words, no keys and no caller.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import APIRouter, Request

from agentvoicebox import __version__
from agentvoicebox.broker.store_health import WorkerPool
from agentvoicebox.errors import BrokerLost
from agentvoicebox.gateway.http.admin_context import AdminContext
from agentvoicebox.gateway.http.admin_route import Admit, admin_router
from agentvoicebox.gateway.http.readiness import Readiness
from agentvoicebox.gateway.http.status_bodies import (
    BreakerBody,
    GatewayBody,
    LimitsStatusBody,
    ReadinessBody,
    SessionsBody,
    StatusBody,
    StoreBody,
    WorkBody,
)
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.ports.broker import JobKind

FRESH_S = 1.0
STORE_TIMEOUT_S = 1.5  # as for a health check
MOST_TENANTS = 100

ReadStatus = Callable[[], Awaitable[StatusBody]]
_T = TypeVar("_T")


class StatusReader:
    """Reads the status, at most once within FRESH_S."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state
        self._readiness = Readiness(state)
        self._reading = asyncio.Lock()
        self._last: StatusBody | None = None
        self._last_s = float("-inf")

    async def read(self) -> StatusBody:
        """The present status, or one that is at most FRESH_S old."""
        async with self._reading:
            if self._last is None or self._state.clock.monotonic_s() >= self._last_s + FRESH_S:
                self._last = await self._read()
                self._last_s = self._state.clock.monotonic_s()
            return self._last

    async def _read(self) -> StatusBody:
        state = self._state
        gateways = state.gateways
        (_, readiness), lines, loads, live, used = await asyncio.gather(
            self._readiness.check(),
            _none() if gateways is None else _unless_lost(gateways.read()),
            _unless_lost(state.broker.workload()),
            _unless_lost(state.directory.live()),
            state.admission.used_by_all(),
        )
        health = state.health
        pools = {kind: health.pools.get(kind, WorkerPool()) for kind in JobKind}
        counts = None if live is None else Counter(session.tenant_id for session in live)
        return StatusBody(
            at=round(state.clock.wall_s(), 3),
            version=__version__,
            gateway_id=None if gateways is None else gateways.own_id,
            readiness=ReadinessBody.model_validate(readiness),
            gateways=None if lines is None else [GatewayBody.of(line) for line in lines],
            work=[WorkBody.of(kind, pool, None if loads is None else loads[kind]) for kind, pool in pools.items()],
            store=StoreBody(
                is_available=not health.is_store_unavailable,
                memory_share=round(health.memory_share, 4),
                memory_level=health.memory_level.name.lower(),  # type: ignore[arg-type]  # pydantic checks it
            ),
            degraded=list(readiness["degraded"]),
            breakers=[BreakerBody(name=name, state=each.value) for name, each in state.admission.breakers().items()],
            limits=LimitsStatusBody.of(state.admission.limit_config, used.limits),
            sessions=None
            if counts is None
            else SessionsBody(total=counts.total(), by_tenant=dict(counts.most_common(MOST_TENANTS))),
        )


def status_routes(read: ReadStatus, decisions: Decisions, admit: Admit) -> APIRouter:
    """The route.

    Args:
        read: the status.
        decisions: who may see it.
        admit: the owner of a request's key; raises Refused when it has no admin rights.
    """
    admin = AdminContext(decisions)
    router = admin_router(admit)

    @router.get("/status", summary="The state of the deployment, for operators")
    async def status(request: Request) -> StatusBody:
        await admin.require(request, "admin.status.read", request.state.principal.tenant_id)
        return await read()

    return router


async def _unless_lost(asked: Awaitable[_T]) -> _T | None:
    """The answer; None while the store is away."""
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            return await asked
    except (BrokerLost, TimeoutError):
        return None


async def _none() -> None:
    return None
