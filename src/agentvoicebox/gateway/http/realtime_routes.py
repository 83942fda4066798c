"""The addresses of the Realtime API: the WebSocket, and what else clients send there, which gets an answer that helps.

A plain GET is what arrives when a proxy drops `Upgrade`. Some verbs of `calls/…` are SIP's, which is not served; `webrtc` has the
others.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from agentvoicebox.http_server.refusal import error_body

# Clients append `/realtime` to whatever base address they are given; the latter two are Azure's.
REALTIME_PATHS = ("/v1/realtime", "/realtime", "/openai/v1/realtime", "/openai/realtime")
SIP_VERBS = ("accept", "reject", "refer")

REFUSALS = {
    "upgrade_required": (426, "This address speaks WebSocket; does your proxy pass Upgrade?"),
    "sip_not_served": (
        404,
        "SIP calls are not served here. A call by WebRTC is neither accepted nor referred: it runs as soon as its offer is "
        "answered, and POST /v1/realtime/calls/{call_id}/hangup ends it.",
    ),
}


def add_realtime_routes(app: FastAPI, endpoint: Callable[[WebSocket], Awaitable[None]]) -> None:
    """Add the socket, and the refusals beside it."""
    for path in REALTIME_PATHS:
        # Not FastAPI's kind of route: that one keeps 4 kB for each open call.
        app.router.routes.append(WebSocketRoute(path, endpoint))
        _refuse(app, "GET", path, "upgrade_required", {"Upgrade": "websocket", "Connection": "Upgrade"})
        for verb in SIP_VERBS:
            _refuse(app, "POST", f"{path}/calls/{{call_id}}/{verb}", "sip_not_served")


def is_media_path(path: str) -> bool:
    """Whether a page may send WebRTC's offer there: like the socket, any page that has a key or a secret."""
    path = path.rstrip("/")
    return any(path == each or path.startswith(f"{each}/calls") for each in REALTIME_PATHS)


def _refuse(app: FastAPI, method: str, path: str, code: str, headers: dict[str, str] | None = None) -> None:
    status, message = REFUSALS[code]

    async def refused() -> Response:
        return Response(error_body(code, message), status, headers, media_type="application/json")

    app.add_api_route(path, refused, methods=[method], include_in_schema=False)
