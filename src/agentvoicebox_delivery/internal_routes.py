"""The delivery agent's routes on the webhook server's internal port: maintenance of breaker and cache."""

from typing import Any

import msgspec
import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from agentvoicebox.http_server import described
from agentvoicebox.http_server.described import answered
from agentvoicebox_delivery.numbers.tracking import is_tracking_id, normalize
from agentvoicebox_delivery.sources.look_up import LookUp

_log = structlog.get_logger(__name__)


class ClosedBreaker(BaseModel):
    """The state of the breaker."""

    breaker: str | None


class MaintenanceFault(BaseModel):
    """Why it was not done."""

    error: str


class Forgotten(BaseModel):
    """How many parcels the cache held of those to forget."""

    forgotten: int


class CacheBody(BaseModel):
    """Counts of the cache since the start."""

    model_config = ConfigDict(extra="allow")

    hit_ratio: float


def internal_router(look_up: LookUp) -> APIRouter:
    """Routes for breaker and cache on the internal port."""
    router = described.router(tag="delivery", responses={})

    @router.post(
        "/breaker/reset",
        summary="Close the breaker before its time",
        response_model=None,
        responses={
            **answered(ClosedBreaker, "It is closed."),
            **answered(MaintenanceFault, "The source has no breaker.", status=404),
        },
    )
    async def reset() -> JSONResponse:
        if not look_up.reset():
            return JSONResponse({"error": f"{look_up.name} has no breaker"}, status_code=404)
        _log.warning("breaker reset by an operator")
        return JSONResponse({"breaker": look_up.breaker.value if look_up.breaker is not None else None})

    @router.get(
        "/cache", summary="Counts of the cache", response_model=None, responses=answered(CacheBody, "The counts.")
    )
    async def cache() -> dict[str, Any]:
        stats = look_up.stats
        return {**msgspec.to_builtins(stats), "hit_ratio": round(stats.hit_ratio, 4)}

    @router.delete(
        "/cache/{tracking_id}",
        summary="Forget a parcel",
        response_model=None,
        responses={
            **answered(Forgotten, "It is forgotten, if it was known."),
            **answered(MaintenanceFault, "This is no tracking number.", status=422),
        },
    )
    async def forget(tracking_id: str) -> JSONResponse:
        normal = normalize(tracking_id)
        if not is_tracking_id(normal):
            return JSONResponse({"error": "not a tracking number"}, status_code=422)
        return JSONResponse({"forgotten": look_up.forget(normal)})

    @router.delete(
        "/cache",
        summary="Forget every parcel",
        response_model=None,
        responses=answered(Forgotten, "All are forgotten."),
    )
    async def forget_all() -> dict[str, int]:
        return {"forgotten": look_up.forget()}

    return router
