"""A WebSocket client that costs next to nothing, so that one process can stand for hundreds of callers.

Frames to be sent are made once: masked with four zero bytes, which the protocol allows and which leaves the payload as it is.
Frames received are cut and handed on as bytes. Knows nothing of Realtime events.
"""

import asyncio
import base64
import os
from collections.abc import Callable
from typing import cast

from tests.kit.waiting import PATIENCE_S

_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A


def masked(payload: bytes, opcode: int = _TEXT) -> bytes:
    """One whole frame from a client, ready for the wire."""
    size = len(payload)
    if size < 126:
        head = bytes((opcode, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


class RawSocket(asyncio.Protocol):
    """One connection. `heard` is called with each text frame's payload."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._is_open = False
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def write(self, frames: bytes) -> None:
        """Send frames made by `masked`."""
        assert self._transport is not None
        self._transport.write(frames)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None and not self._transport.is_closing():
            self.write(masked((1000).to_bytes(2, "big"), _CLOSE))
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        for future in (self._opened, self.closed):
            if not future.done():
                future.set_result(None)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        if not self._is_open:
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._opened.set_exception(ConnectionError(head[:200].decode(errors="replace")))
                return
            self._is_open = True
            self._buffer = bytearray(rest)
            self._opened.set_result(None)
        self._cut()

    def _cut(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1] & 0x7F, at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                if len(buffer) - start < width:
                    break
                size, start = int.from_bytes(buffer[start : start + width], "big"), start + width
            if len(buffer) - start < size:
                break
            payload = bytes(buffer[start : start + size])
            match buffer[at]:
                case 0x81:
                    self._heard(payload)
                case 0x89:
                    self.write(masked(payload, _PONG))
                case 0x88:
                    self.close()
            at = start + size
        del buffer[:at]


async def dial(port: int, path: str, heard: Callable[[bytes], None], *, key: str = "") -> RawSocket:
    """Connect to this machine and upgrade, with a key if given. Raises ConnectionError when the server does not want that."""
    loop = asyncio.get_running_loop()
    _, ws = await loop.create_connection(lambda: RawSocket(heard), "127.0.0.1", port)
    nonce = base64.b64encode(os.urandom(16)).decode()
    upgrade = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    upgrade += f"Authorization: Bearer {key}\r\n" if key else ""
    ws.write((upgrade + f"Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
    async with asyncio.timeout(PATIENCE_S):
        await ws._opened
    return ws
