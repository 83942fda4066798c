"""What every role that serves HTTP shares: a uvicorn that leaves signals alone, and a socket to listen on."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from agentvoicebox.errors import InfrastructureError


class HttpServer(uvicorn.Server):
    """uvicorn without its own signal handling (the supervisor decides when a role stops).

    Attributes:
        is_open: set once the port accepts connections.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_open = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        self.is_open.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers: the process that runs the role has its own."""
        yield


def listening_socket(host: str, port: int, *, setting: str) -> socket.socket:
    """A bound TCP socket. Bound here because uvicorn exits the process when it can't listen.

    Args:
        host: address to listen on, IPv4 or IPv6.
        port: 0 lets the system choose.
        setting: names the setting to change in the error.

    Raises:
        InfrastructureError: the address can't be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, so that asyncio disables Nagle's algorithm: otherwise answers wait up to 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InfrastructureError(
            f"can't listen on {host}:{port}: {error.strerror}; is another server running? {setting} chooses another port",
            code="address_unavailable",
        ) from error
    return listener
