"""A port that serves an ASGI application for the length of a block, and lets what is under way finish."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from agentvoicebox.errors import InfrastructureError

KEEP_ALIVE_S = 30
MOST_CONNECTIONS = 1000  # beyond it 503 at once, so that those admitted keep their latency
CLOSED_LONG_S = 1.0


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling (the supervisor decides when a role stops), and with a word when it is open."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_open = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        self.is_open.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs the role."""
        yield


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
    listener = _listen(host, port, setting)
    server = _Server(config)
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


def _listen(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, so that asyncio switches Nagle's delay off: without it each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InfrastructureError(
            f"can't listen on {host}:{port}: {error.strerror}; is another server running? {setting} chooses another",
            code="address_unavailable",
        ) from error
    return listener
