"""Requests that no route takes, and what the framework refuses by itself: every one gets a typed error in the form of all errors.

Without this module a client would read the framework's own `{"detail": …}`, and a WebSocket to an unknown address a 403, which
looks like a wrong key.
"""

from collections.abc import Iterable

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from agentvoicebox.http_server.refusal import error_body, send_refusal

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SHOWN_CHARS = 200  # of a client's own path


class HttpFault(msgspec.Struct, frozen=True):
    """What the framework refused. `code` and `message` are the error's."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = {}


def answer_unmatched(app: FastAPI, *, socket_path: str = "") -> None:
    """Give all unmatched requests of an application a typed error.

    Args:
        app: with its routes, or before they are added.
        socket_path: of the Realtime socket, named to a client that missed it; empty: the application has none.
    """
    router = app.router
    router.redirect_slashes = False  # the place of a redirect would be made from the client's Host header

    async def unmatched(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.endswith("/") and path.rstrip("/"):  # a slash at the end changes nothing
            await router.app({**scope, "path": path.rstrip("/"), "raw_path": b""}, receive, send)
            return
        fault = _unknown(path, socket_path, is_websocket=scope["type"] == "websocket")
        await send_refusal(scope, send, fault.status, fault.code, fault.message)

    router.default = unmatched

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        fault = _fault_of(error, request.scope, app.routes, socket_path)
        body = error_body(fault.code, fault.message)
        return Response(body, fault.status, fault.headers, media_type="application/json")

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        """A fault of ours; the framework logs it afterwards."""
        body = error_body("internal_error", "The server failed; please try again.", error_type="server_error")
        return Response(body, 500, media_type="application/json")


def _unknown(path: str, socket_path: str, *, is_websocket: bool) -> HttpFault:
    message = f"There is nothing at {path[:SHOWN_CHARS]}."
    if socket_path and (is_websocket or "realtime" in path):
        message += f" The Realtime WebSocket is at {socket_path}; append it to the server's address once."
    return HttpFault(404, "unknown_url", message)


def _fault_of(error: HTTPException, scope: Scope, routes: Iterable[BaseRoute], socket_path: str) -> HttpFault:
    match error.status_code:
        case 404:
            return _unknown(scope["path"], socket_path, is_websocket=False)
        case 405:
            allowed = ", ".join(_allowed(scope, routes))
            message = f"{scope['path'][:SHOWN_CHARS]} does not take {scope['method'][:20]}; it takes {allowed}."
            return HttpFault(405, "method_not_allowed", message, {"Allow": allowed})
        case 400:
            return HttpFault(400, "invalid_json", "The body can't be read as JSON.")
        case status:
            return HttpFault(status, "http_error", f"{error.detail}.", dict(error.headers or {}))


def _allowed(scope: Scope, routes: Iterable[BaseRoute]) -> list[str]:
    """The methods of all routes at this path; the framework names those of the first one alone."""
    asked = {**scope, "path": scope["path"].rstrip("/") or "/"}
    known = list(routes)
    taken = [m for m in METHODS if any(each.matches({**asked, "method": m})[0] is Match.FULL for each in known)]
    return ["GET", "HEAD", *taken[1:]] if taken[:1] == ["GET"] else taken
