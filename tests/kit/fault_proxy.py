"""An HTTP server that goes wrong on demand: in front of a real one, or alone with answers that the test writes.

Each request meets the next fault of the plan. `None` in the plan is no fault: the request goes on to the upstream.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from types import TracebackType

import httpx
import msgspec

from tests.kit.local_proxy import LocalProxy
from tests.kit.waiting import PATIENCE_S

HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
JSON = "application/json; charset=utf-8"
HUGE_BYTES = 10_000_000


class Request(msgspec.Struct, frozen=True):
    """What a client sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Reply(msgspec.Struct, frozen=True):
    """A whole answer, `delay_s` before its first byte; with `drip_s`, then a byte each so many seconds."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = JSON
    headers: dict[str, str] = {}
    delay_s: float = 0.0
    drip_s: float = 0.0


class Slow(msgspec.Struct, frozen=True):
    """The upstream's true answer, so late."""

    delay_s: float


class Break(Enum):
    """Ways to break a connection."""

    RESET = "reset"  # a TCP reset instead of an answer
    HANG_UP = "hang_up"  # closed without a word
    CUT = "cut"  # closed in the middle of a body
    SILENCE = "silence"  # open, and nothing comes


Fault = Reply | Slow | Break


def answer(result: object) -> Reply:
    """What Sanity answers when all is well."""
    return Reply(body=msgspec.json.encode({"result": result, "ms": 1}))


def too_many(retry_after: str | None = None) -> Reply:
    """429, with or without saying how long to wait."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return Reply(429, b'{"message":"API rate limit exceeded"}', headers=headers)


def server_error(status: int = 503) -> Reply:
    """A 5xx in the shape that Sanity's framework writes."""
    return Reply(status, b'{"statusCode":%d,"error":"Server Error","message":"try again"}' % status)


HTML_PAGE = Reply(200, HTML, "text/html")
GATEWAY_PAGE = Reply(502, HTML, "text/html")
TRUNCATED = Reply(body=b'{"result":[{"trackingId":"PKG0')
EMPTY = Reply(body=b"")
WRONG_TYPE = Reply(body=b'{"result":[]}', content_type="text/plain")
HUGE = Reply(body=b'{"result":["' + b"x" * HUGE_BYTES + b'"]}')
DRIP = Reply(body=b'{"result":[]}', drip_s=0.5)


class FaultProxy(LocalProxy):
    """The proxy.

    Args:
        upstream: base URL of the real server; "" when no request may get through.
        plan: a fault, or None, for each request; when it ends, no more faults. Or a function of the request.
    """

    def __init__(
        self, upstream: str = "", plan: Iterable[Fault | None] | Callable[[Request], Fault | None] = ()
    ) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self._upstream = upstream
        self._plan: Callable[[Request], Fault | None] = lambda _: None
        self.follow(plan)
        self._client = httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False)
        self._arrival = asyncio.Condition()

    def follow(self, plan: Iterable[Fault | None] | Callable[[Request], Fault | None]) -> None:
        """From the next request on."""
        if callable(plan):
            self._plan = plan
        else:
            steps: Iterator[Fault | None] = iter(plan)
            self._plan = lambda _: next(steps, None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        await self._client.aclose()

    async def arrived(self, count: int, *, within_s: float = PATIENCE_S) -> None:
        """Wait until so many requests came in all."""
        async with asyncio.timeout(within_s), self._arrival:
            await self._arrival.wait_for(lambda: len(self.requests) >= count)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other, as planned."""
        try:
            while (request := await _read(reader)) is not None:
                async with self._arrival:
                    self.requests.append(request)
                    self._arrival.notify_all()
                if not await self._answer(request, writer):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """False: the connection is over."""
        match self._plan(request):
            case Break.RESET:
                linger = struct.pack("ii", 1, 0)  # close without lingering sends a reset
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return False
            case Break.HANG_UP:
                return False
            case Break.CUT:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{")
                await writer.drain()
                return False
            case Break.SILENCE:
                await asyncio.Event().wait()
            case Slow(delay_s):
                await asyncio.sleep(delay_s)
                await _write(writer, await self._from_upstream(request))
            case Reply() as reply:
                await _write(writer, reply)
            case None:
                await _write(writer, await self._from_upstream(request))
        return True

    async def _from_upstream(self, request: Request) -> Reply:
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
        url = httpx.URL(self._upstream + request.target)
        response = await self._client.request(request.method, url, headers=headers, content=request.body)
        return Reply(response.status_code, response.content, response.headers.get("content-type", ""))


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, target, _ = first.split(" ")
    return Request(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    await asyncio.sleep(reply.delay_s)
    headers = {"content-type": reply.content_type, "content-length": str(len(reply.body)), **reply.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    writer.write(f"HTTP/1.1 {reply.status} Whatever\r\n{lines}\r\n".encode("latin-1"))
    if not reply.drip_s:
        writer.write(reply.body)
    for byte in reply.body if reply.drip_s else b"":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(reply.drip_s)
    await writer.drain()
