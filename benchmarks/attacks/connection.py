"""A raw TCP connection of an attacker. It sends what no client library would.

Each stranger has a loopback address of its own (127.0.0.2 to 127.0.0.250), as attackers from the network have, so that a bound on
one source does not hit the neighbour at 127.0.0.1.
"""

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.attacks.target import Target
from tests.kit.raw_socket import masked

CONNECT_S = 5.0
ANSWER_S = 5.0
READ_BYTES = 65_536
SIZE_IN_16_BITS = 126
SOURCES = 249
FIN, CONTINUATION, TEXT, BINARY, CLOSE, PING = 0x80, 0x0, 0x1, 0x2, 0x8, 0x9

frame = masked  # (payload, first byte)


def source(number: int) -> str:
    """The loopback address of a stranger."""
    return f"127.0.0.{2 + number % SOURCES}"


class Connection:
    """One connection. What the server sends is read and dropped, unless `reads` is False."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._dropping: asyncio.Task[None] | None = None

    async def send(self, data: bytes) -> bool:
        """Send, as fast as the server reads. False: the server has closed the connection."""
        if self.is_closed:
            return False
        try:
            self.writer.write(data)
            await self.writer.drain()
        except (ConnectionError, OSError):
            return False
        return True

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed it, as far as this side has read."""
        return self.reader.at_eof() or self.reader.exception() is not None or self.writer.is_closing()

    async def until_closed(self, timeout_s: float) -> bool:
        """Drop what is received until the server closes the connection. False: it is still open after that time."""
        with contextlib.suppress(ConnectionError, OSError):
            try:
                async with asyncio.timeout(timeout_s):
                    while await self.reader.read(READ_BYTES):
                        pass
            except TimeoutError:
                return False
        return True

    async def is_answered(self, timeout_s: float) -> bool:
        """Whether the server answers or closes the connection within that time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.reader.read(READ_BYTES)
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def drop_input(self) -> None:
        """From now on, read and drop what the server sends."""
        self._dropping = asyncio.create_task(self._drop())

    async def _drop(self) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while await self.reader.read(READ_BYTES):
                pass

    async def upgrade(
        self, target: Target, *, key: str = "", query: str = "model=delivery", host: str = "", more: str = ""
    ) -> bool:
        """Ask for a WebSocket; True once the server has agreed. `more`: further header lines, each with its end."""
        nonce = base64.b64encode(os.urandom(16)).decode()
        credential = f"Authorization: Bearer {key}\r\n" if key else ""
        await self.send(
            (
                f"GET /v1/realtime?{query} HTTP/1.1\r\nHost: {host or target.host}:{target.port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\n{credential}{more}\r\n"
            ).encode()
        )
        try:
            async with asyncio.timeout(ANSWER_S):
                return (await self.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return False

    async def first_event(self) -> dict[str, Any]:
        """The first event after an upgrade; {} when the server closes instead."""
        try:
            async with asyncio.timeout(ANSWER_S):
                opcode, size = await self.reader.readexactly(2)
                if size >= SIZE_IN_16_BITS:
                    size = int.from_bytes(await self.reader.readexactly(2 if size == SIZE_IN_16_BITS else 8), "big")
                payload = await self.reader.readexactly(size)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return {}
        return dict(json.loads(payload)) if opcode == FIN | TEXT else {}

    async def request(self, method: str, path: str, *, headers: dict[str, str], body: bytes = b"") -> int:
        """Send a request; the status of the answer, or 0 without one."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        await self.send(head.encode() + body)
        try:
            async with asyncio.timeout(ANSWER_S):
                return int((await self.reader.readline())[9:12] or 0)
        except (TimeoutError, ConnectionError):
            return 0

    def abort(self) -> None:
        """Reset it."""
        sock = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        """Hang up."""
        if self._dropping is not None:
            self._dropping.cancel()
            await asyncio.gather(self._dropping, return_exceptions=True)
        self.writer.transport.abort()


async def dial(target: Target, number: int = 0, *, port: int = 0) -> Connection:
    """Connect as a stranger; to the gateway, or to another port of the server. Raises OSError, TimeoutError."""
    async with asyncio.timeout(CONNECT_S):
        return Connection(
            *await asyncio.open_connection(
                target.host, port or target.port, local_addr=(source(number), 0), limit=READ_BYTES
            )
        )


@asynccontextmanager
async def dialled(target: Target, number: int = 0, *, port: int = 0) -> AsyncIterator[Connection]:
    """As `dial`, closed at the end of the block."""
    made = await dial(target, number, port=port)
    try:
        yield made
    finally:
        await made.close()
