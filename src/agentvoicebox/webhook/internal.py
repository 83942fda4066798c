"""The internal port, for operators: health, metrics, and the maintenance routes of kits. It checks no credentials.

It listens on loopback unless the settings say otherwise; keep it unreachable from outside.
"""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse

from agentvoicebox import __version__
from agentvoicebox.http_server.unmatched import answer_unmatched
from agentvoicebox.kits.services import Dependency
from agentvoicebox.webhook.metrics import WebhookMetrics


def create_internal_app(
    dependencies: Sequence[Dependency], routers: Sequence[APIRouter], metrics: WebhookMetrics, leaving: asyncio.Event
) -> FastAPI:
    """Create the ASGI application of the internal port.

    Args:
        dependencies: backends of the kits.
        routers: further routes of the kits.
        metrics: exported at `/metrics`.
        leaving: set when the process is draining.
    """
    app = FastAPI(title="AgentVoiceBox webhook server, internal", version=__version__, docs_url=None, redoc_url=None)
    answer_unmatched(app)

    @app.get("/healthz", summary="Whether the process runs")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        summary="Whether the server takes requests, and the state of its dependencies",
        responses={503: {"description": "It takes none; the body says why."}},
    )
    async def readyz() -> JSONResponse:
        # From the last check, so that the answer is immediate. A backend that is away for a while does not make the server
        # unready: callers get the last known answer, or a sentence that says that the records can't be reached.
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
