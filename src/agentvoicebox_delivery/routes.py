"""The delivery agent's routes on the webhook server: `/v1/track`, Sanity's webhook, and maintenance of breaker and cache."""

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from agentvoicebox.kits.services import NoticeRoute, ToolRoute
from agentvoicebox.tools.schema import Misfit, Unreadable
from agentvoicebox_delivery.numbers.tracking import is_tracking_id, normalize
from agentvoicebox_delivery.parcels import tool_schema
from agentvoicebox_delivery.sources.look_up import LookUp
from agentvoicebox_delivery.sources.sanity_webhook import HEADER, changed_ids
from agentvoicebox_delivery.tool import DEFINITION

_log = structlog.get_logger(__name__)


def track_route() -> ToolRoute:
    """`POST /v1/track`, `{"tracking_id": "…"}` → the outcome."""
    return ToolRoute(
        path="/v1/track",
        label="track",
        summary="Where is this parcel?",
        tool=tool_schema.NAME,
        field="tracking_id",
        fault=_track_fault,
    )


def _track_fault(body: Mapping[str, Any]) -> tuple[str, str]:
    try:
        DEFINITION.read(dict(body))
    except (Misfit, Unreadable):
        if "tracking_id" in body:
            return "string_type", "tracking_id should be a text with letters or digits."
        return "missing", "tracking_id is missing."
    return "tracking_id", "The text has no tracking number (six to 32 letters and digits)."


def notice_routes(look_up: LookUp, secret: str) -> tuple[NoticeRoute, ...]:
    """`POST /sanity/webhook`, which removes changed parcels from the cache; () without a secret."""

    def forget(body: bytes, headers: Mapping[str, str], wall_s: float) -> dict[str, Any]:
        ids = changed_ids(body, headers.get(HEADER), secret, wall_s=wall_s)
        return {"forgotten": sum([look_up.forget(each) for each in ids] or [look_up.forget()])}

    if not secret:
        return ()
    return (NoticeRoute("/sanity/webhook", "sanity", "Sanity's webhook: these parcels have changed", forget),)


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
