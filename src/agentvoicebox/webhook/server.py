"""A port that serves an ASGI application for the length of a block, and lets what is under way finish."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from starlette.types import ASGIApp

from agentvoicebox.http_server import HttpServer, listening_socket

KEEP_ALIVE_S = 30
MOST_CONNECTIONS = 1000  # beyond it 503 at once, so that those admitted keep their latency
CLOSED_LONG_S = 1.0


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, *, host: str, port: int, drain_s: float, setting: str) -> AsyncIterator[int]:
    """Serve; the block gets the port that was opened. At its end: no new connections, and `drain_s` for what is under way.

    Args:
        app: of ASGI.
        host: address to listen on.
        port: 0 lets the system choose.
        drain_s: whole seconds.
        setting: the name of the setting to change when the address is taken.

    Raises:
        InfrastructureError: the address can't be listened on.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,  # addresses of callers' platforms are nobody's business
        lifespan="off",
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(drain_s),
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
