"""The internal port, for operators: health, metrics, and the maintenance routes of kits. It checks no credentials.

It listens on loopback unless the settings say otherwise; keep it unreachable from outside.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from agentvoicebox.http_server.described import Described, refusals
from agentvoicebox.http_server.probe_routes import add_probes
from agentvoicebox.http_server.unmatched import answer_unmatched
from agentvoicebox.kits.services import Dependency
from agentvoicebox.webhook.metrics import WebhookMetrics

ABOUT = "For operators: probes, metrics, and maintenance of the kits. It checks no credentials; keep it unreachable."


class ReadyzBody(BaseModel):
    """Whether the server takes requests, and each of its dependencies as its kit reports it."""

    status: Literal["ready", "degraded", "not ready", "leaving"]
    dependencies: dict[str, dict[str, Any]]


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
    app = Described(
        "AgentVoiceBox webhook server, internal",
        ABOUT,
        port=8002,
        common=refusals(403),
        is_public=False,
        openapi_url="/openapi.json",
    )
    answer_unmatched(app)

    async def readiness() -> tuple[int, dict[str, Any]]:
        # From the last check, so that the answer is immediate. A backend that is away for a while does not make the server
        # unready: callers get the last known answer, or a sentence that says that the records can't be reached.
        status = "leaving" if leaving.is_set() else _readiness(dependencies)
        body = {"status": status, "dependencies": {each.label: each.report() for each in dependencies}}
        return 200 if status in ("ready", "degraded") else 503, body

    add_probes(app, metrics.registry, readiness, ReadyzBody)
    for router in routers:
        app.include_router(router)
    return app


def _readiness(dependencies: Sequence[Dependency]) -> str:
    states = {each.state.status for each in dependencies}
    if not states <= {"ok", "away"}:
        return "not ready"
    return "degraded" if "away" in states else "ready"
