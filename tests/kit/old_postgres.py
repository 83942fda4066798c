"""A PostgreSQL of any version, as far as the greeting: it accepts everybody, says its version, and answers nothing."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SSL_REQUEST = 80877103


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _greeting(version: str) -> bytes:
    said = {"server_version": version, "client_encoding": "UTF8", "server_encoding": "UTF8", "TimeZone": "UTC"}
    parameters = [_message(b"S", f"{name}\0{value}\0".encode()) for name, value in said.items()]
    return b"".join(
        [
            _message(b"R", struct.pack("!i", 0)),
            *parameters,
            _message(b"K", struct.pack("!ii", 1, 1)),
            _message(b"Z", b"I"),
        ]
    )


@asynccontextmanager
async def postgres_of_version(version: str) -> AsyncIterator[str]:
    """Its URL."""

    greeting: set[asyncio.Task[None]] = set()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            await reader.readexactly(length - 8)
            if code != SSL_REQUEST:
                break
            writer.write(b"N")
        writer.write(_greeting(version))
        await reader.read()
        writer.close()
        await writer.wait_closed()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting.add(asyncio.create_task(greet(reader, writer)))

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"postgresql://someone@127.0.0.1:{server.sockets[0].getsockname()[1]}/records"
        await asyncio.gather(*greeting)
