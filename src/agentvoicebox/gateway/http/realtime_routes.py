"""The addresses of the Realtime API: the WebSocket, and what else clients send there, which gets an answer that helps.

A plain GET is what arrives when a proxy drops `Upgrade`. A POST is WebRTC, and `calls/…` are the verbs of SIP: neither is served.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from agentvoicebox.http_server.refusal import error_body

# Clients append `/realtime` to whatever base address they are given; the latter two are Azure's.
REALTIME_PATHS = ("/v1/realtime", "/realtime", "/openai/v1/realtime", "/openai/realtime")
SIP_VERBS = ("accept", "reject", "hangup", "refer")

USE_WEBSOCKET = "use the WebSocket transport: ws:// or wss:// and the same address, without a body"
REFUSALS = {
    "upgrade_required": (426, "This address speaks WebSocket; does your proxy pass Upgrade?"),
    "webrtc_not_served": (404, f"WebRTC is not served here; {USE_WEBSOCKET}."),
    "sip_not_served": (404, f"SIP calls are not served here; {USE_WEBSOCKET}."),
}


def add_realtime_routes(app: FastAPI, endpoint: Callable[[WebSocket], Awaitable[None]]) -> None:
    """Add the socket, and the refusals beside it."""
    for path in REALTIME_PATHS:
        # Not FastAPI's kind of route: that one keeps 4 kB for each open call.
        app.router.routes.append(WebSocketRoute(path, endpoint))
        _refuse(app, "GET", path, "upgrade_required", {"Upgrade": "websocket", "Connection": "Upgrade"})
        for calls in (path, f"{path}/calls"):
            _refuse(app, "POST", calls, "webrtc_not_served")
        for verb in SIP_VERBS:
            _refuse(app, "POST", f"{path}/calls/{{call_id}}/{verb}", "sip_not_served")


def is_media_path(path: str) -> bool:
    """Whether a page may send WebRTC's offer there: every page may read the refusal."""
    path = path.rstrip("/")
    return any(path == each or path.startswith(f"{each}/calls") for each in REALTIME_PATHS)


def _refuse(app: FastAPI, method: str, path: str, code: str, headers: dict[str, str] | None = None) -> None:
    status, message = REFUSALS[code]

    async def refused() -> Response:
        return Response(error_body(code, message), status, headers, media_type="application/json")

    app.add_api_route(path, refused, methods=[method], include_in_schema=False)
