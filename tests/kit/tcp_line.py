"""A line to a server of this machine that a test may cut as a broken network does."""

import asyncio
import contextlib

from tests.kit.local_proxy import LocalProxy

CLOSE_S = 1.0


class TcpLine(LocalProxy):
    """Passes bytes both ways until either side closes.

    Args:
        port: of the server.

    Attributes:
        opened: connections so far.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self._server_port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self.opened = 0

    def cut(self) -> None:
        """Break every connection, without a word to either side; new ones are passed on."""
        for writer in self._writers:
            writer.transport.abort()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.opened += 1
        server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        ends = {writer, to_server}
        self._writers |= ends
        ways = [asyncio.create_task(_pass_on(reader, to_server)), asyncio.create_task(_pass_on(server, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.close()  # at once: the rest may be cancelled
            self._writers -= ends
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await asyncio.gather(*map(_close, ends))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close it after what was written; a peer that does not take that is left."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_S):
            await writer.wait_closed()
    except (TimeoutError, ConnectionError):
        writer.transport.abort()
