"""The internal port, for operators: health, metrics, and the maintenance routes of kits. It checks no credentials.

It listens on loopback unless the settings say otherwise; keep it unreachable from outside.
"""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse

from agentvoicebox import __version__
from agentvoicebox.kits.services import Dependency
from agentvoicebox.webhook.metrics import WebhookMetrics


def create_internal_app(
    dependencies: Sequence[Dependency], routers: Sequence[APIRouter], metrics: WebhookMetrics, leaving: asyncio.Event
) -> FastAPI:
    """The ASGI application of the internal port.

    Args:
        dependencies: backends of the kits.
        routers: further routes of the kits.
        metrics: exported at `/metrics`.
        leaving: set when no new work should be sent here.
    """
    app = FastAPI(title="AgentVoiceBox webhook server, internal", version=__version__, redoc_url=None)

    @app.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether to send work here, and the state of what it needs")
    async def readyz() -> JSONResponse:
        # Taken from the last check, so that it takes no time. A backend that is away for a while is no reason to send callers
        # elsewhere: here they get the last known answer, or an honest sentence.
        status = "leaving" if leaving.is_set() else _readiness(dependencies)
        body = {"status": status, "dependencies": {each.label: each.report() for each in dependencies}}
        return JSONResponse(body, status_code=200 if status in ("ready", "degraded") else 503)

    @app.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
    async def prometheus() -> Response:
        return Response(metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    for router in routers:
        app.include_router(router)
    return app


def _readiness(dependencies: Sequence[Dependency]) -> str:
    states = {each.state.status for each in dependencies}
    if not states <= {"ok", "away"}:
        return "not ready"
    return "degraded" if "away" in states else "ready"
