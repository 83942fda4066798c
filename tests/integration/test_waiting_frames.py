"""A connection knows since when at the earliest a message waited: not before everything that came earlier had been read."""

import asyncio
import time
from typing import Any

from starlette.types import Receive, Scope, Send
from tests.kit.raw_socket import dial, masked

from agentvoicebox.http_server.connection_table import ConnectionTable
from agentvoicebox.http_server.listening import listening_socket
from agentvoicebox.http_server.server import HttpServer, ServerConfig
from agentvoicebox.http_server.websocket_connection import WAITING_SINCE

STALL_S = 0.05


class Stalling:
    """An application that accepts and reads, but only while it may."""

    def __init__(self) -> None:
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.messages: list[dict[str, Any]] = []
        self.has_some = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await self.may_read.wait()
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            self.messages.append({**message, "taken_s": time.monotonic()})
            self.has_some.set()

    async def read(self, count: int) -> None:
        while len(self.messages) < count:
            self.has_some.clear()
            await self.has_some.wait()


async def test_what_came_while_the_application_stalled_may_have_waited_since_then() -> None:
    app = Stalling()
    config = ServerConfig(app, ConnectionTable(), drain_s=1, has_websockets=True)
    server, listener = HttpServer(config), listening_socket("127.0.0.1", 0, setting="AVB_PORT")
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.is_open.wait()
    config.lag.start()
    try:
        line = await dial(listener.getsockname()[1], "/", lambda payload: None)
        line.write(masked(b"1"))
        await app.read(1)
        app.may_read.clear()
        line.write(masked(b"2"))  # the application already waits for this one
        await app.read(2)
        line.write(masked(b"3") + masked(b"4"))
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, STALL_S)
        app.may_read.set()
        await app.read(4)
        line.close()
    finally:
        config.lag.stop()
        server.should_exit = True
        await serving
        listener.close()
    for message in app.messages:
        assert message[WAITING_SINCE] <= message["taken_s"]
    for message in app.messages[2:]:
        assert message["taken_s"] - message[WAITING_SINCE] > STALL_S / 2
