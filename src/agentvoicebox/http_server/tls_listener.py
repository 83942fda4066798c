"""The TLS port: accepts connections, and hands each to HTTP once its handshake is done.

asyncio would count a connection only after its handshake, for which it gives a client a minute. Here it is counted from the
first packet, has a few seconds, and waits for its turn, because a handshake costs the event loop up to a millisecond. A client
that speaks plain HTTP gets a typed error.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from agentvoicebox.http_server.connection_table import ConnectionTable
from agentvoicebox.http_server.refusal import REFUSED_CLOSE_S, error_body
from agentvoicebox.http_server.turn_queue import TurnQueue
from agentvoicebox.request_source import source_of
from agentvoicebox.telemetry.logs import get_logger

HANDSHAKE_S = 5.0  # to the first byte, and from there to the end of the handshake
SHUTDOWN_S = 2.0  # for the client's part of the end of TLS
RETRY_S = 1.0  # when the process has no descriptor for a connection
RECORD = 0x16  # the first byte of a TLS handshake; no letter, so no HTTP begins with it
SPOKE_PLAIN = "This port speaks TLS: use https:// and wss://."
OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

MakeProtocol = Callable[[], asyncio.Protocol]

log = get_logger(__name__)


class TlsListener:
    """One listening socket. Closed as an `asyncio.Server` is; connections that are handed on stay open.

    Args:
        listener: bound.
        context: with the certificate.
        make_protocol: of a connection, behind TLS.
        table, turns: of the server.
    """

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        make_protocol: MakeProtocol,
        *,
        table: ConnectionTable,
        turns: TurnQueue,
        backlog: int,
    ) -> None:
        self.context = context
        self.make_protocol = make_protocol
        self.table = table
        self.turns = turns
        self.loop = asyncio.get_running_loop()
        self.arrivals: set[_Arrival] = set()
        self.handshakes: set[asyncio.Task[None]] = set()
        self._listener = listener
        self._backlog = backlog
        self._is_closed = False
        listener.setblocking(False)
        listener.listen(backlog)
        self._go_on()

    def close(self) -> None:
        """Accept no more, and drop those that are not handed on yet. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self.loop.remove_reader(self._listener)
        self._listener.close()
        for each in list(self.arrivals):
            each.abort()

    async def wait_closed(self) -> None:
        """After `close`: until the handshakes that it broke off have ended."""
        await asyncio.gather(*self.handshakes, return_exceptions=True)

    def _go_on(self) -> None:
        if not self._is_closed:
            self.loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(self._backlog):
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in OUT_OF_RESOURCES:
                    raise
                log.error("no descriptor is left for a connection", limit="RLIMIT_NOFILE")
                self.loop.remove_reader(self._listener)
                self.loop.call_later(RETRY_S, self._go_on)
                return
            accepted.setblocking(False)
            _Arrival(self, accepted, source_of(str(address[0]), {}, ""))


class _Arrival:
    """A connection before the end of its handshake; for the table, a transport."""

    def __init__(self, listener: TlsListener, accepted: socket.socket, source: str) -> None:
        self._listener = listener
        self._socket = accepted
        self._source = source
        self._shaking: asyncio.Task[None] | None = None
        self._is_over = False
        self._deadline = listener.loop.call_later(HANDSHAKE_S, self._drop, "silent")
        listener.arrivals.add(self)
        listener.loop.add_reader(accepted, self._look)
        listener.table.opened(self, source)

    def abort(self) -> None:
        """Close at once."""
        if self._shaking is not None:
            self._shaking.cancel()  # which closes the socket
        elif not self._is_over:
            self._listener.loop.remove_reader(self._socket)
            self._socket.close()
        self._leave()

    def _leave(self) -> None:
        """It is closed, or handed on."""
        self._is_over = True
        self._deadline.cancel()
        self._listener.arrivals.discard(self)
        self._listener.table.closed(self)

    def _drop(self, reason: str) -> None:
        self._listener.table.count_dropped(reason)
        self.abort()

    def _look(self) -> None:
        """Something came. The first byte is left in the socket, for the handshake."""
        try:
            first = self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        self._deadline.cancel()
        if not first:
            self.abort()
        elif first[0] != RECORD:
            self._refuse_plain()
        else:
            self._listener.loop.remove_reader(self._socket)
            self._listener.turns.enter(self._source, self._begin)

    def _begin(self) -> bool:
        """Its turn has come."""
        if self._is_over:
            return False
        self._shaking = self._listener.loop.create_task(self._shake_hands(), name="TLS handshake")
        self._listener.handshakes.add(self._shaking)
        self._shaking.add_done_callback(self._listener.handshakes.discard)
        return True

    async def _shake_hands(self) -> None:
        listener = self._listener
        try:
            await listener.loop.connect_accepted_socket(
                lambda: _Secured(self._hand_on),
                self._socket,
                ssl=listener.context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except (OSError, TimeoutError):  # ssl.SSLError is an OSError
            if not self._is_over:
                listener.table.count_dropped("tls_handshake")
        finally:
            self._leave()

    def _hand_on(self, transport: asyncio.Transport) -> None:
        self._leave()  # before the protocol counts the connection
        protocol = self._listener.make_protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def _refuse_plain(self) -> None:
        """Say which protocol this is, and read on until the client closes: unread data would make the kernel drop the answer."""
        body = error_body("tls_required", SPOKE_PLAIN)
        head = (
            f"HTTP/1.1 400 {HTTPStatus.BAD_REQUEST.phrase}\r\ncontent-type: application/json\r\n"
            f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._listener.table.count_dropped("plain_http")
        loop = self._listener.loop
        loop.remove_reader(self._socket)
        self._deadline = loop.call_later(REFUSED_CLOSE_S, self.abort)
        try:
            self._socket.send(head.encode() + body)
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.abort()
        else:
            loop.add_reader(self._socket, self._read_away)

    def _read_away(self) -> None:
        try:
            is_over = not self._socket.recv(1 << 16)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            is_over = True
        if is_over:
            self.abort()


class _Secured(asyncio.Protocol):
    """Takes the connection from TLS, and gives it on."""

    def __init__(self, hand_on: Callable[[asyncio.Transport], None]) -> None:
        self._hand_on = hand_on

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._hand_on(cast(asyncio.Transport, transport))
