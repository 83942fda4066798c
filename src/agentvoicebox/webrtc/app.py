"""The port of the media servers, which gateways alone call: takes calls, ends them, and joins others to them."""

import asyncio
import hmac
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from agentvoicebox.errors import UNREADABLE, BodyTooLarge
from agentvoicebox.http_server.admit import admit
from agentvoicebox.http_server.local_only import LocalOnly
from agentvoicebox.http_server.request_body import bounded_body
from agentvoicebox.http_server.websocket_connection import FRAGMENTS
from agentvoicebox.webrtc.call_request import CallRequest
from agentvoicebox.webrtc.calls import WebCalls
from agentvoicebox.webrtc.refusal import CallRefused
from agentvoicebox.webrtc.web_call import WebCall

MAX_BODY_BYTES = 1024 * 1024
MAX_SIDEBANDS = 4  # of a call
MAX_SIDEBAND_EVENT_BYTES = 512 * 1024  # what a gateway takes by WebSocket
MAX_WAITING = 1_000  # events that a sideband has not read; then it is closed
NOT_FOUND_CLOSE, TRY_LATER_CLOSE, ENDED_CLOSE = 4404, 1013, 1000

Body = TypeVar("Body")


class WebCallServer:
    """What the routes share.

    Args:
        calls: of this process.
        token: what a gateway shows as bearer token; empty: nothing, for a port on loopback.
    """

    def __init__(self, calls: WebCalls, token: str = "") -> None:
        self._calls = calls
        self._token = token

    def app(self) -> ASGIApp:
        """The ASGI application. Without a token, pages of other sites may not reach it through their visitor's browser."""
        app = Starlette(
            routes=[
                Route("/calls", self._begin, methods=["POST"]),
                Route("/calls/{call_id}", self._show, methods=["GET"]),
                Route("/calls/{call_id}/hangup", self._hang_up, methods=["POST"]),
                WebSocketRoute("/calls/{call_id}/events", self._events),
            ]
        )
        return app if self._token else LocalOnly(app)

    async def _begin(self, request: Request) -> Response:
        try:
            asked = await self._body(request, CallRequest)
            return JSONResponse({"sdp": await self._calls.take(asked)}, 201)
        except CallRefused as refused:
            return _refusal(refused)

    async def _hang_up(self, request: Request) -> Response:
        try:
            tenant = (await self._body(request, dict[str, str])).get("tenant", "")
            self._call(request.path_params["call_id"], tenant).hang_up()
        except CallRefused as refused:
            return _refusal(refused)
        return Response(status_code=204)

    async def _show(self, request: Request) -> Response:
        try:
            self._check(request.headers)
            call = self._call(request.path_params["call_id"], request.query_params.get("tenant", ""))
        except CallRefused as refused:
            return _refusal(refused)
        return JSONResponse({"session_id": call.session_id, "state": call.state})

    async def _events(self, websocket: WebSocket) -> None:
        try:
            self._check(websocket.headers)
        except CallRefused as refused:
            await websocket.send_denial_response(_refusal(refused))
            return
        admit(websocket.scope)
        await websocket.accept()
        try:
            call = self._call(websocket.path_params["call_id"], websocket.query_params.get("tenant", ""))
        except CallRefused as refused:
            await websocket.close(NOT_FOUND_CLOSE, refused.message[:120])
            return
        if len(call.listeners) >= MAX_SIDEBANDS:
            await websocket.close(TRY_LATER_CLOSE, f"{MAX_SIDEBANDS} others are joined to this call")
            return
        await Sideband(websocket, call).run()

    def _call(self, call_id: str, tenant: str) -> WebCall:
        call = self._calls.find(call_id, tenant)
        if call is None:
            raise CallRefused("There is no such call.", status=404, code="call_not_found")
        return call

    def _check(self, headers: Mapping[str, str]) -> None:
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if self._token and not (
            scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), self._token.encode())
        ):
            raise CallRefused("The token is invalid; see AVB_WEBRTC_TOKEN.", status=403, code="invalid_token")

    async def _body(self, request: Request, kind: type[Body]) -> Body:
        self._check(request.headers)
        admit(request.scope)
        try:
            return msgspec.json.decode(await bounded_body(request, MAX_BODY_BYTES), type=kind)
        except BodyTooLarge as error:
            raise CallRefused(error.message, status=413, code="request_too_large") from error
        except UNREADABLE as error:
            raise CallRefused(f"The request can't be read: {error}", status=400, code="invalid_json") from error


class Sideband:
    """One other that is joined to a call: it gets the events, and sends its own."""

    def __init__(self, websocket: WebSocket, call: WebCall) -> None:
        self._websocket = websocket
        self._call = call
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
        self._is_behind = False

    async def run(self) -> None:
        """Until it leaves, or the call ends."""
        self._waiting.put_nowait(self._call.greeting())
        self._call.listeners.append(self._listen)
        tasks = [
            asyncio.create_task(self._read(), name="sideband reads"),
            asyncio.create_task(self._write(), name="sideband writes"),
            asyncio.create_task(self._call.ended.wait(), name="sideband's call ends"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._call.listeners.remove(self._listen)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(RuntimeError, WebSocketDisconnect):
                while not self._is_behind and not self._waiting.empty():
                    await self._websocket.send_text(self._waiting.get_nowait())
                await self._websocket.close(TRY_LATER_CLOSE if self._is_behind else ENDED_CLOSE)

    def _listen(self, text: str) -> None:
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            self._is_behind = True

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            fragments = message.get(FRAGMENTS)
            text = message.get("text") if fragments is None else b"".join(fragments).decode("utf-8", "replace")
            if text is not None:
                self._call.read(text, MAX_SIDEBAND_EVENT_BYTES)

    async def _write(self) -> None:
        with suppress(RuntimeError, WebSocketDisconnect):
            while self._websocket.application_state is WebSocketState.CONNECTED and not self._is_behind:
                await self._websocket.send_text(await self._waiting.get())


def _refusal(refused: CallRefused) -> Response:
    body = {"type": refused.type, "code": refused.code, "message": refused.message, "param": None}
    return JSONResponse({"error": body}, refused.status)
