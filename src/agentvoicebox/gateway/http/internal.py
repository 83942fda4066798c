"""The gateway's internal port, for operators: health, readiness in detail, metrics, and the API's description.

It checks no credentials. It listens on loopback unless the settings say otherwise; keep it unreachable from outside.
"""

from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from agentvoicebox.gateway.http.credentials import LOCAL
from agentvoicebox.gateway.http.readiness import Readiness
from agentvoicebox.gateway.http.status_bodies import ReadinessBody
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.http_server.described import Described, file_answered
from agentvoicebox.http_server.probe_routes import add_probes
from agentvoicebox.http_server.unmatched import answer_unmatched

ABOUT = "For operators: probes, metrics, and the description of the public port. It checks no credentials; keep it unreachable."
STYLE = "body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}td{padding:.2rem 1rem .2rem 0}"


def create_internal_app(state: GatewayState, public: FastAPI) -> FastAPI:
    """The ASGI application of the internal port. `public`: the gateway's own, which is described here."""
    app = Described("AgentVoiceBox gateway, internal", ABOUT, port=8003, common=LOCAL, is_public=False)
    answer_unmatched(app)
    add_probes(app, state.metrics.registry, Readiness(state).check, ReadinessBody)

    @app.get(
        "/openapi.json",
        summary="The gateway's REST API as OpenAPI",
        tags=["operation"],
        response_model=None,
        responses=file_answered({"application/json": {"schema": {"type": "object"}}}, "An OpenAPI 3.1 document."),
    )
    async def openapi() -> dict[str, Any]:
        return public.openapi()

    @app.get(
        "/docs",
        summary="The gateway's REST API as a page",
        tags=["operation"],
        response_model=None,
        response_class=HTMLResponse,
        responses=file_answered({"text/html": {"schema": {"type": "string"}}}, "A page of all routes."),
    )
    async def docs() -> HTMLResponse:
        return HTMLResponse(_page(public.openapi()))

    return app


def _page(description: dict[str, Any]) -> str:
    """A page of all routes that loads nothing from elsewhere."""
    rows = "".join(
        f"<tr><td>{method.upper()}</td><td><code>{escape(path)}</code></td><td>{escape(route.get('summary', ''))}</td></tr>"
        for path, methods in description["paths"].items()
        for method, route in methods.items()
    )
    title = f"{escape(description['info']['title'])} {escape(description['info']['version'])}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f"<p>Fields and errors: <a href=openapi.json>openapi.json</a>. The Realtime protocol is at <code>/v1/realtime</code>.</p>"
        f"<table>{rows}</table></html>"
    )
