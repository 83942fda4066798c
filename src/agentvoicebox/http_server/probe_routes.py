"""Probes and metrics as described routes, for an internal port that has others. `probes` answers the same without routes."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from agentvoicebox.http_server.described import Described, answered, file_answered
from agentvoicebox.telemetry.metrics_page import metrics_page
from agentvoicebox.telemetry.process_report import LIVE

_TEXT = {"schema": {"type": "string"}}
METRICS = file_answered(
    {"text/plain": _TEXT, "application/openmetrics-text": _TEXT}, "In Prometheus' text format, or in OpenMetrics."
)


class HealthBody(BaseModel):
    """The process lives."""

    status: Literal["ok"]


def add_probes(
    app: Described,
    registry: CollectorRegistry,
    readiness: Callable[[], Awaitable[tuple[int, dict[str, Any]]]],
    body: type[BaseModel],
) -> None:
    """Add both usual spellings of the probes, and the metrics.

    Args:
        app: of the internal port.
        registry: of the metrics.
        readiness: gives the HTTP status and the body of `/ready`.
        body: describes that body.
    """
    described: dict[str, Any] = {"tags": ["probes"], "response_model": None}
    living = described | {"responses": answered(HealthBody, "It does.")}
    ready_or_not = {**answered(body, "It can."), **answered(body, "It can't; the body says why.", status=503)}
    able = described | {"responses": ready_or_not}

    @app.get("/health", summary="Whether the process lives", **living)
    @app.get("/healthz", operation_id="healthz", summary="The same", **living)
    async def health() -> dict[str, str]:
        return LIVE

    @app.get("/ready", summary="Whether it can take work, and the state of what it needs", **able)
    @app.get("/readyz", operation_id="readyz", summary="The same", **able)
    async def ready() -> JSONResponse:
        status, found = await readiness()
        return JSONResponse(found, status_code=status)

    @app.get(
        "/metrics", summary="Metrics for Prometheus", tags=["operation"], response_class=Response, responses=METRICS
    )
    async def metrics(request: Request) -> Response:
        page, content_type = metrics_page(registry, request.headers.get("accept", ""))
        return Response(page, headers={"content-type": content_type})
