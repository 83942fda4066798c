"""What every role that serves HTTP shares: a uvicorn with bounded connections."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from agentvoicebox.http_server.connection_table import ConnectionTable
from agentvoicebox.http_server.head_requests import HeadAsGet
from agentvoicebox.http_server.http_connection import HttpConnection
from agentvoicebox.http_server.loop_lag import LoopLag
from agentvoicebox.http_server.tls_listener import TlsListener
from agentvoicebox.http_server.turn_queue import TurnQueue
from agentvoicebox.http_server.websocket_connection import FRAMES_PER_S, WebSocketConnection

WS_MAX_BYTES = 24 * 1024 * 1024  # an append may hold 15 MiB of audio, which is 20 MiB of base64
PING_S = 20.0  # OpenAI's interval; clients time out after about as long
KEEP_ALIVE_S = 30
BACKLOG = 128  # connections that the kernel holds until the loop takes them; uvicorn's 2,048 would be taken in one go


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration with ours: no access log (queries may carry keys), no trust in proxy headers, bounded connections.

    Attributes:
        table: the connections of this server.
        turns: of clients that were not admitted.
        frames_per_s: WebSocket frames that one connection may send; more wait. 0: any number.
        lag: how late the event loop is; started and stopped by the owner.
        tls: with the server's certificate; None: the port speaks plain HTTP.
    """

    def __init__(
        self,
        app: ASGIApp,
        table: ConnectionTable,
        *,
        drain_s: int,
        has_websockets: bool,
        turns: TurnQueue | None = None,
        frames_per_s: float = FRAMES_PER_S,
        lag: LoopLag | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`drain_s`: whole seconds that running requests get at the end. `turns`: by default without a limit."""
        self.table = table
        self.turns = TurnQueue(0) if turns is None else turns  # an empty queue is false
        self.frames_per_s = frames_per_s
        self.tls = tls
        self.lag = lag or LoopLag()
        super().__init__(
            HeadAsGet(app),
            http=HttpConnection,
            ws=WebSocketConnection if has_websockets else "none",
            ws_max_size=WS_MAX_BYTES,
            ws_ping_interval=PING_S,
            ws_ping_timeout=PING_S,
            ws_per_message_deflate=False,  # compressing base64 of audio gains little
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,  # otherwise any process on this machine names its own source
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=drain_s,
        )


class HttpServer(uvicorn.Server):
    """uvicorn without its own signal handling (the supervisor decides when a role stops).

    Attributes:
        is_open: set once the port accepts connections.
    """

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config)
        self._server_config = config
        self.is_open = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        tls = self._server_config.tls
        await super().startup(sockets if tls is None else [])
        if tls is not None:
            self.servers += [self._listen(each, tls) for each in sockets or ()]  # type: ignore[misc]
        self.is_open.set()

    def _listen(self, listener: socket.socket, tls: ssl.SSLContext) -> TlsListener:
        config = self._server_config

        def make() -> asyncio.Protocol:
            return HttpConnection(config, server_state=self.server_state, app_state=self.lifespan.state)

        return TlsListener(listener, tls, make, table=config.table, turns=config.turns, backlog=BACKLOG)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers: the process that runs the role has its own."""
        yield
