"""A line to a store that is slow and breaks: a TCP proxy in front of its unix socket."""

import asyncio
import contextlib
import random

from tests.kit.local_proxy import LocalProxy


class SlowLine(LocalProxy):
    """The proxy.

    Args:
        socket: path of the server's unix socket.
        delay_s: what each write of either side waits for, without holding up the next ones.
        cut_share: the share of writes to the server that never get there: the connection breaks instead.
        seed: of chance.

    Attributes:
        cuts: connections that it broke.
    """

    def __init__(self, socket: str, *, delay_s: float, cut_share: float, seed: int) -> None:
        super().__init__()
        self._socket = socket
        self._delay_s = delay_s
        self._cut_share = cut_share
        self._chance = random.Random(seed)
        self.cuts = 0

    @property
    def url(self) -> str:
        """For RedisBroker."""
        return f"redis://127.0.0.1:{self.port}/0"

    def heal(self) -> None:
        """From now on the line is quick and whole."""
        self._delay_s = self._cut_share = 0.0

    async def talk(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Pass on what comes from either side."""
        server, to_server = await asyncio.open_unix_connection(self._socket)
        ways = [
            asyncio.create_task(self._pass_on(client, to_server, may_cut=True)),
            asyncio.create_task(self._pass_on(server, to_client, may_cut=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for writer in (to_client, to_server):
                writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, may_cut: bool) -> None:
        """Until either end closes, or the line is cut."""
        loop = asyncio.get_running_loop()
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def write() -> None:
            while (each := await due.get())[1]:
                await asyncio.sleep(max(0.0, each[0] - loop.time()))
                writer.write(each[1])
                await writer.drain()

        writing = asyncio.create_task(write())
        try:
            while data := await reader.read(65_536):
                if may_cut and self._chance.random() < self._cut_share:
                    self.cuts += 1
                    return
                due.put_nowait((loop.time() + self._delay_s, data))
            due.put_nowait((0.0, b""))
            await writing
        except ConnectionError:
            pass
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await writing
