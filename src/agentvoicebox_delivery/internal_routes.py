"""The delivery agent's routes on the webhook server's internal port: maintenance of breaker and cache."""

from typing import Any

import msgspec
import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from agentvoicebox_delivery.numbers.tracking import is_tracking_id, normalize
from agentvoicebox_delivery.sources.look_up import LookUp

_log = structlog.get_logger(__name__)


def internal_router(look_up: LookUp) -> APIRouter:
    """Routes for breaker and cache on the internal port."""
    router = APIRouter()

    @router.post("/breaker/reset", summary="Close the breaker before its time")
    async def reset() -> JSONResponse:
        if not look_up.reset():
            return JSONResponse({"error": f"{look_up.name} has no breaker"}, status_code=404)
        _log.warning("breaker reset by an operator")
        return JSONResponse({"breaker": look_up.breaker.value if look_up.breaker is not None else None})

    @router.get("/cache", summary="Counts of the cache")
    async def cache() -> dict[str, Any]:
        stats = look_up.stats
        return {**msgspec.to_builtins(stats), "hit_ratio": round(stats.hit_ratio, 4)}

    @router.delete("/cache/{tracking_id}", summary="Forget a parcel")
    async def forget(tracking_id: str) -> JSONResponse:
        normal = normalize(tracking_id)
        if not is_tracking_id(normal):
            return JSONResponse({"error": "not a tracking number"}, status_code=422)
        return JSONResponse({"forgotten": look_up.forget(normal)})

    @router.delete("/cache", summary="Forget every parcel")
    async def forget_all() -> dict[str, int]:
        return {"forgotten": look_up.forget()}

    return router
