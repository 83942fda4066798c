"""Serves an ASGI application for the duration of a block; running requests may finish at its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.types import ASGIApp

from agentvoicebox.http_server.connection_table import ConnectionObserver, ConnectionTable
from agentvoicebox.http_server.listening import listening_socket
from agentvoicebox.http_server.server import HttpServer, ServerConfig
from agentvoicebox.processes.descriptors import connection_limit
from agentvoicebox.settings import Settings


def connection_table(settings: Settings, observer: ConnectionObserver) -> ConnectionTable:
    """The table of a public port. Behind a proxy every connection has the proxy's address, so its sources look alike."""
    return ConnectionTable(
        most=connection_limit(settings.limit_connections),
        most_unadmitted_of_source=0 if settings.trusted_proxy_header else settings.limit_connections_per_source,
        observer=observer,
    )


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    drain_s: float,
    setting: str,
    connections: ConnectionTable | None = None,
    has_websockets: bool = False,
) -> AsyncIterator[int]:
    """Serve, and yield the port that was opened. At the end of the block, running requests have `drain_s` to finish.

    Args:
        app: the ASGI application.
        host: address to listen on.
        port: 0 lets the system choose.
        drain_s: whole seconds.
        setting: the setting to name in the error when the address is in use.
        connections: of this port; by default with the usual bounds.
        has_websockets: whether it takes them.

    Raises:
        AddressUnavailable: the address can't be listened on.
    """
    config = ServerConfig(
        app,
        ConnectionTable() if connections is None else connections,
        drain_s=int(drain_s),
        has_websockets=has_websockets,
    )
    listener = listening_socket(host, port, setting=setting)
    server = HttpServer(config)
    running = asyncio.create_task(server.serve(sockets=[listener]), name=f"http server {setting}")
    opening = asyncio.create_task(server.is_open.wait(), name="http server opens")
    try:
        await asyncio.wait([running, opening], return_when=asyncio.FIRST_COMPLETED)
        yield listener.getsockname()[1]
    finally:
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        server.should_exit = True
        await running
        listener.close()
