"""`docs/reference/rest.md`: every route of the gateway and of the webhook server."""

from typing import Any, cast
from unittest.mock import MagicMock

from fastapi import FastAPI
from fastapi.routing import APIRoute

from agentvoicebox.gateway.http.app import create_app
from agentvoicebox.gateway.http.internal import create_internal_app
from tests.kit.reference.markdown import code, head, section, table, text_of

ADMIN = "/v1/admin"
Rows = list[tuple[str, str, str]]


def page() -> str:
    """The page."""
    state = MagicMock()  # routes are described, none is called
    state.sessions.max_calls = 1
    public = create_app(cast(Any, state))
    internal = create_internal_app(cast(Any, state), public)
    routes = _rows(public.openapi()["paths"])
    lines = head(
        "REST",
        "the routes",
        "Every gateway serves these beside the WebSocket `/v1/realtime`. A request shows its key as `Authorization: "
        "Bearer …` or "
        "`api-key: …`. Errors are `{\"error\": {type, code, message, param}}` with the status of "
        "[errors](errors.md#http); `Retry-After` "
        "says when to try again. `HEAD` is answered as `GET`, and a slash at the end changes nothing.",
        "Parameters, bodies and every answer: [the gateway](rest-gateway.md), its [administration](rest-administration.md) "
        "and its [internal port](rest-gateway-internal.md), the [webhook server](rest-webhooks.md) and its "
        "[internal port](rest-webhooks-internal.md). Each is the rendering of an OpenAPI 3.1 document that lies beside it; the "
        "gateway's is also `/openapi.json` of its internal port, and a page `/docs` there.",
    )  # fmt: skip
    lines += section("The public port (8000)")
    lines += table(("method", "address", "what it does"), [row for row in routes if ADMIN not in row[1]])
    lines += section("Administration", "With an admin key: [tenants](../tenants.md).")
    lines += table(("method", "address", "what it does"), [row for row in routes if ADMIN in row[1]])
    lines += section("The gateway's internal port (8003)", "It checks no credentials.")
    lines += table(("method", "address", "what it does"), _plain(internal))
    lines += section(
        "The webhook server (8001, internal 8002)",
        "`POST /vapi/webhook`, `POST /v1/tools/<name>`, and the routes of the kits (`POST /v1/track` of `delivery`); "
        "`/healthz`, "
        "`/readyz`, `/metrics` and maintenance on the internal port: [webhooks](../webhooks.md).",
    )
    return text_of(lines)


def _rows(paths: dict[str, Any]) -> Rows:
    return [
        (method.upper(), code(path), str(route.get("summary", "")))
        for path, methods in paths.items()
        for method, route in methods.items()
    ]


def _plain(app: FastAPI) -> Rows:
    return [
        (method, code(route.path), route.summary or "")
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]
