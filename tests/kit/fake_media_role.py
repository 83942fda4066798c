"""A `webrtc` role without media, for the gateway's half of WebRTC calls: its internal API, kept and broken in every way.

It opens no session and sends no audio. What it is asked is what a real role is asked, and it can be slow, full, mute or mad.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from agentvoicebox.http_server.serving import serving
from agentvoicebox.http_server.websocket_connection import FRAGMENTS

OFFER = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
ANSWER = OFFER.replace("o=- 1", "o=- 9")
PIECE, HUGE_BYTES = b"x" * 64 * 1024, 64 * 1024 * 1024


@dataclass
class FakeMediaRole:
    """A running one.

    Attributes:
        url: its address.
        answer: what it answers to an offer instead of the answer of SDP: (status, body); None: nothing else.
        is_slow: it never answers an offer.
        is_huge: its answers have 64 MiB.
        token: that a gateway must show.
        most_sidebands: of a call.
        is_deaf: it does not read what a sideband sends.
        asked: the bodies of offers.
        shown: the Authorization header of each request.
        calls: tenant by id.
        said: what sidebands sent, in order.
        sent_bytes: of huge answers.
        lines: the open sidebands.
        over: set at the end.
    """

    url: str = ""
    answer: tuple[int, Any] | None = None
    is_slow: bool = False
    is_huge: bool = False
    token: str = ""
    most_sidebands: int = 4
    is_deaf: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    calls: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    lines: list[WebSocket] = field(default_factory=list)
    sent_bytes: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, text: str) -> None:
        """Send an event of the session to all sidebands."""
        for line in self.lines:
            await line.send_text(text)

    async def end(self, call_id: str, code: int = 1000) -> None:
        """The call is over."""
        self.calls.pop(call_id, None)
        for line in self.lines:
            await line.close(code)

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/calls", self._open, methods=["POST"]),
                Route("/calls/{call_id}/hangup", self._hang_up, methods=["POST"]),
                WebSocketRoute("/calls/{call_id}/events", self._events),
            ]
        )

    def _is_ours(self, headers: Any) -> bool:
        self.shown.append(headers.get("authorization", ""))
        return not self.token or headers.get("authorization") == f"Bearer {self.token}"

    async def _open(self, request: Request) -> Response:
        if not self._is_ours(request.headers):
            return _fault(403, "invalid_token")
        asked = msgspec.json.decode(await request.body())
        self.asked.append(asked)
        if self.is_slow:
            self.calls[asked["call_id"]] = asked["tenant"]  # begun, and never said
            await self.over.wait()
        if self.is_huge:
            return StreamingResponse(self._huge(request), 201)
        if self.answer is not None:
            status, body = self.answer
            return Response(body, status) if isinstance(body, bytes) else JSONResponse(body, status)
        self.calls[asked["call_id"]] = asked["tenant"]
        return JSONResponse({"sdp": ANSWER}, 201)

    async def _huge(self, request: Request) -> AsyncIterator[bytes]:
        while self.sent_bytes < HUGE_BYTES and not await request.is_disconnected():
            self.sent_bytes += len(PIECE)
            yield PIECE

    async def _hang_up(self, request: Request) -> Response:
        if not self._is_ours(request.headers):
            return _fault(403, "invalid_token")
        call_id, asked = request.path_params["call_id"], msgspec.json.decode(await request.body())
        if self.calls.get(call_id) != asked["tenant"]:
            return _fault(404, "call_not_found")
        await self.end(call_id)
        return Response(status_code=204)

    async def _events(self, websocket: WebSocket) -> None:
        if not self._is_ours(websocket.headers):
            await websocket.send_denial_response(_fault(403, "invalid_token"))
            return
        await websocket.accept()
        if self.calls.get(websocket.path_params["call_id"]) != websocket.query_params.get("tenant"):
            await websocket.close(4404)
            return
        if len(self.lines) >= self.most_sidebands:
            await websocket.close(1013)
            return
        self.lines.append(websocket)
        try:
            if self.is_deaf:
                await self.over.wait()
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                whole = b"".join(message[FRAGMENTS]).decode() if FRAGMENTS in message else message["text"]
                self.said.append(whole)
        finally:
            self.lines.remove(websocket)


def fault(code: str, message: str, error_type: str = "server_error") -> dict[str, Any]:
    """The body of a refusal."""
    return {"error": {"type": error_type, "code": code, "message": message}}


def _fault(status: int, code: str) -> JSONResponse:
    return JSONResponse(fault(code, "No.", "invalid_request_error"), status)


@asynccontextmanager
async def media_role(**changes: Any) -> AsyncIterator[FakeMediaRole]:
    """Serve one for the duration of a block. `changes`: its attributes."""
    role = FakeMediaRole(**changes)
    async with serving(
        role.app(), host="127.0.0.1", port=0, drain_s=0, setting="AVB_WEBRTC_PORT", has_websockets=True
    ) as port:
        role.url = f"http://127.0.0.1:{port}"
        try:
            yield role
        finally:
            role.over.set()
