"""One HTTP request as bytes, and its answer: for what no client library would send."""

import asyncio
import contextlib
import ssl
from typing import Any

import msgspec

from tests.kit.waiting import PATIENCE_S


class Answer(msgspec.Struct, frozen=True):
    """The answer; names of headers are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


async def ask(
    port: int, method: str, path: str, headers: dict[str, str], *, tls: ssl.SSLContext | None = None
) -> Answer:
    """Send a request without a body to this machine. After an upgrade only the head is read; an empty header is left out."""
    name = None if tls is None else "localhost"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    try:
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(PATIENCE_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *rest = head.splitlines()
            found = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in rest if line)}
            length = int(found.get("content-length", 0))
            body = b"" if method == "HEAD" else await reader.readexactly(length)
        return Answer(int(first.split()[1]), found, body)
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
