"""The gateway's internal port, for operators: health, readiness in detail, metrics, and the API's description.

It checks no credentials. It listens on loopback unless the settings say otherwise; keep it unreachable from outside.
"""

from html import escape
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse

from agentvoicebox import __version__
from agentvoicebox.gateway.http.readiness import Readiness
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.http_server.unmatched import answer_unmatched

STYLE = "body{font:16px/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}td{padding:.2rem 1rem .2rem 0}"


def create_internal_app(state: GatewayState, public: FastAPI) -> FastAPI:
    """The ASGI application of the internal port. `public`: the gateway's own, which is described here."""
    app = FastAPI(
        title="AgentVoiceBox gateway, internal", version=__version__, docs_url=None, redoc_url=None, openapi_url=None
    )
    answer_unmatched(app)
    readiness = Readiness(state)

    @app.get("/health", summary="Whether the process lives")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Whether calls can be taken, and the state of what they need")
    async def ready() -> JSONResponse:
        status, body = await readiness.check()
        return JSONResponse(body, status_code=status)

    @app.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(state.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/openapi.json", summary="The gateway's REST API as OpenAPI")
    async def openapi() -> dict[str, Any]:
        return public.openapi()

    @app.get("/docs", summary="The gateway's REST API as a page", response_class=HTMLResponse)
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
