"""The internal port, for those who run the hotline: health, numbers, the breaker, the memory. Asks nobody who they are.

It listens on loopback unless told otherwise; keep it away from the outside.
"""

import asyncio
from typing import Any

import msgspec
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from agentvoicebox import __version__
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.webhook.metrics import HotlineMetrics
from agentvoicebox_delivery.numbers.tracking import is_tracking_id, normalize
from agentvoicebox_delivery.sources.look_up import LookUp

log = get_logger(__name__)


def create_internal_app(look_up: LookUp, metrics: HotlineMetrics, leaving: asyncio.Event) -> FastAPI:
    """The ASGI application of the internal port. `leaving` is set when no new work is to come."""
    app = FastAPI(title="AgentVoiceBox hotline, internal", version=__version__, redoc_url=None)

    @app.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether to send work here, and the state of what it needs")
    async def readyz() -> JSONResponse:
        # Told from the last check, so that it takes no time. A source that is away for a while is no reason to send
        # callers elsewhere: here they get the last known answer, or an honest sentence.
        health = look_up.health
        status = "leaving" if leaving.is_set() else {"ok": "ready", "away": "degraded"}.get(health.status, "not ready")
        source: dict[str, Any] = {"source": look_up.name, "status": health.status}
        source |= {"reason": health.reason} if health.reason else {}
        source |= {"breaker": look_up.breaker.value} if look_up.breaker is not None else {}
        body = {"status": status, "dependencies": {"shipments": source}}
        return JSONResponse(body, status_code=200 if status in ("ready", "degraded") else 503)

    @app.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
    async def numbers() -> Response:
        return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.post("/breaker/reset", summary="Close the breaker before its time")
    async def reset() -> JSONResponse:
        if not look_up.reset():
            return JSONResponse({"error": f"{look_up.name} has no breaker"}, status_code=404)
        log.warning("breaker reset by hand")
        return JSONResponse({"breaker": look_up.breaker.value if look_up.breaker is not None else None})

    @app.get("/cache", summary="What the memory has done")
    async def cache() -> dict[str, Any]:
        stats = look_up.stats
        return {**msgspec.to_builtins(stats), "hit_ratio": round(stats.hit_ratio, 4)}

    @app.delete("/cache/{tracking_id}", summary="Forget a parcel")
    async def forget(tracking_id: str) -> JSONResponse:
        normal = normalize(tracking_id)
        if not is_tracking_id(normal):
            return JSONResponse({"error": "that is no tracking number"}, status_code=422)
        return JSONResponse({"forgotten": look_up.forget(normal)})

    @app.delete("/cache", summary="Forget every parcel")
    async def forget_all() -> dict[str, int]:
        return {"forgotten": look_up.forget()}

    return app
