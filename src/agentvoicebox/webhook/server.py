"""Serves an ASGI application for the duration of a block; running requests may finish at its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from starlette.types import ASGIApp

from agentvoicebox.http_server import HttpServer, listening_socket

KEEP_ALIVE_S = 30
MOST_CONNECTIONS = 1000  # further ones get a 503 at once, to protect the latency of the others


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, *, host: str, port: int, drain_s: float, setting: str) -> AsyncIterator[int]:
    """Serve, and yield the port that was opened. At the end of the block, running requests have `drain_s` to finish.

    Args:
        app: the ASGI application.
        host: address to listen on.
        port: 0 lets the system choose.
        drain_s: whole seconds.
        setting: the setting to name in the error when the address is in use.

    Raises:
        InfrastructureError: the address can't be listened on.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,  # keeps senders' addresses out of the log
        lifespan="off",
        proxy_headers=False,  # which header names the sender is AVB_TRUSTED_PROXY_HEADER's to say
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
