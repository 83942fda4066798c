"""A TCP balancer with health checks, for machines without HAProxy or nginx: the proxy of the tests' cluster.

    python -m tests.kit.balancer PORT BACKEND_PORT…

Deals connections out in turn among the backends whose `/ready` answers 200 (asked twice a second). One that refuses a
connection is left out until it is ready again, and the next is tried at once; a caller waits up to ten seconds for any.
Bytes are passed on as they come, with backpressure both ways; the end of either side ends the other.
"""

import asyncio
import contextlib
import signal
import sys
from itertools import count
from typing import cast

import uvloop

CHECK_EVERY_S = 0.5
CHECK_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 2.0
PATIENCE_S = 10.0
READY = "balancer ready"


class _End(asyncio.Protocol):
    """One end of a passage; its bytes go to the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is none by inheritance

    def join(self, other: "_End") -> None:
        """From now on what comes here goes there."""
        self.other = other
        for data in self._early:
            self.data_received(data)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self._early.append(data)
        else:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()  # after what was passed on before


class Balancer:
    """Listens on `port` of loopback until closed; `backends` are ports there, too."""

    def __init__(self, port: int, backends: list[int]) -> None:
        self._port = port
        self._backends = backends
        self._up: set[int] = set()
        self._turns = count()
        self._dealing: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._accept, "127.0.0.1", self._port)
        checking = [asyncio.create_task(self._check(port)) for port in self._backends]
        print(READY, flush=True)
        await stop.wait()
        server.close()
        for task in (*checking, *self._dealing):
            task.cancel()
        await asyncio.gather(*checking, *self._dealing, return_exceptions=True)

    def _accept(self) -> _End:
        end = _End()
        task = asyncio.get_running_loop().create_task(self._deal(end))
        self._dealing.add(task)
        task.add_done_callback(self._dealing.discard)
        return end

    async def _deal(self, caller: _End) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + PATIENCE_S
        while loop.time() < until_s:
            start = next(self._turns)
            turn = [self._backends[(start + place) % len(self._backends)] for place in range(len(self._backends))]
            for port in turn:
                if port not in self._up:
                    continue
                try:
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        _, backend = await loop.create_connection(_End, "127.0.0.1", port)
                except (OSError, TimeoutError):
                    self._up.discard(port)
                    continue
                if caller.transport is None or caller.transport.is_closing():
                    assert backend.transport is not None
                    backend.transport.close()
                    return
                backend.join(caller)
                caller.join(backend)
                return
            await asyncio.sleep(CHECK_EVERY_S / 5)
        if caller.transport is not None:
            caller.transport.close()

    async def _check(self, port: int) -> None:
        while True:
            if await self._is_ready(port):
                self._up.add(port)
            else:
                self._up.discard(port)
            await asyncio.sleep(CHECK_EVERY_S)

    @staticmethod
    async def _is_ready(port: int) -> bool:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                    return b" 200 " in await reader.readuntil(b"\r\n")
                finally:
                    writer.close()
        return False


async def _main(port: int, backends: list[int]) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    await Balancer(port, backends).run(stop)


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), [int(argument) for argument in sys.argv[2:]]))
