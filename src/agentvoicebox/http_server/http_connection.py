"""An HTTP connection that can't wait, grow or hold the event loop without bounds: uvicorn's, fed with little at a time.

Decides how long a request may take to come, and how large its head may be. Bodies are bounded by the routes that read them.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from agentvoicebox.http_server.admit import ABORT, ADMIT
from agentvoicebox.http_server.refusal import REFUSED_CLOSE_S, error_body
from agentvoicebox.request_source import source_of

if TYPE_CHECKING:
    from agentvoicebox.http_server.server import ServerConfig

HEAD_S = 10.0  # for the first request, and for the head of each further one from its first byte
BODY_S = 6.0  # from the head to the last byte of the body; routes with a timeout of their own have 5 s
LEAST_BODY_BYTES = 64 * 1024  # in BODY_S, of an admitted client whose body takes longer: a recording over a slow line
MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 128
HEAD_END = b"\r\n\r\n"
HEAD_PIECE_BYTES = 1_024  # at most some 50 requests that were sent at once
BODY_PIECE_BYTES = 4_096
PIECES_A_TURN = 8


class HttpConnection(HttpToolsProtocol):
    """One connection. Made by uvicorn, with a `ServerConfig`."""

    def __init__(self, config: "ServerConfig", *arguments: Any, **named: Any) -> None:
        super().__init__(config, *arguments, **named)
        self._table = config.table
        self._waiting = bytearray()  # read, not parsed
        self._next_turn: asyncio.Handle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0  # of the present request; -1 in its body
        self._body_bytes = 0  # since the deadline was set
        self._is_over = False  # refused, or no HTTP any more
        self._turns = config.turns
        self._source = ""
        self._is_admitted = False  # a request of this connection has shown a good key
        self._has_turn = False  # a request may be parsed and answered
        self._is_queued = False  # for a turn
        self._held_bytes = 0  # while it waits

    # -- the connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self._go_on)
        self._source = source_of("" if self.client is None else self.client[0], {}, "")
        self._table.opened(transport, self._source)
        self._expect(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._stop()
        self._table.closed(self.transport)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """The connection is a WebSocket from now on."""
        self._stop()
        super().handle_websocket_upgrade()
        if not self.transport.is_closing():
            self.transport.resume_reading()  # it was held until this turn

    def _stop(self) -> None:
        self._is_over = True
        self._release()
        self._waiting.clear()
        for handle in (self._next_turn, self._deadline):
            if handle is not None:
                handle.cancel()
        self._next_turn = self._deadline = None

    # -- what comes in -------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._is_over:
            return
        self._waiting += data
        self._take_turn()

    def _queue(self) -> None:
        """Wait for a turn; nothing is read until then. A head that is too large is refused at once, as is one client too many."""
        if self._head_bytes + len(self._waiting) > MAX_HEAD_BYTES and HEAD_END not in self._waiting[:MAX_HEAD_BYTES]:
            self._refuse_head()
            return
        self._held_bytes = len(self._waiting)
        if not self._turns.hold(self._held_bytes):
            self._held_bytes = 0
            self._table.drop(self.transport, "too_many_bytes")
            return
        self._is_queued = True
        self.transport.pause_reading()
        self._turns.enter(self._source, self._begin_turn)

    def _release(self) -> None:
        self._turns.release(self._held_bytes)
        self._held_bytes = 0

    def _begin_turn(self) -> bool:
        self._is_queued = False
        self._release()
        if self._is_over or self.transport.is_closing():
            return False
        self._has_turn = True
        self._take_turn()
        return True

    def _admit(self) -> None:
        if not self._is_admitted:
            self._is_admitted = True
            self._turns.forgive(self._source)

    def _go_on(self) -> None:
        """The application reads again: parse what waits, in the next turn of the loop."""
        if self._waiting and self._next_turn is None:
            self.transport.pause_reading()
            self._next_turn = self.loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        if not (self._has_turn or self._is_admitted):
            if self._waiting and not self._is_queued:
                self._queue()
            return
        for _ in range(PIECES_A_TURN):
            if self._is_over or not self._waiting or self.flow.read_paused or self.transport.is_closing():
                break
            self._parse_some()
        if self._is_over or self.transport.is_closing() or self.flow.read_paused:
            return
        if self._waiting:
            self._go_on()
        else:
            self.transport.resume_reading()

    def _parse_some(self) -> None:
        count = HEAD_PIECE_BYTES if self._head_bytes >= 0 else BODY_PIECE_BYTES
        piece = bytes(self._waiting[:count])
        del self._waiting[:count]
        if self._head_bytes >= 0:
            self._head_bytes += len(piece)
        else:
            self._body_bytes += len(piece)
        super().data_received(piece)
        if self._head_bytes > MAX_HEAD_BYTES or (self._head_bytes >= 0 and len(self.headers or ()) > MAX_HEADERS):
            self._refuse_head()

    def on_message_begin(self) -> None:
        """See httptools."""
        super().on_message_begin()
        if self.cycle is not None and not self.cycle.response_complete:
            self._turns.charge()  # it came together with another one
        self._head_bytes = 0
        self._expect(HEAD_S)

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._head_bytes = -1
        extensions = cast(dict[str, Any], self.scope).setdefault("extensions", {})
        extensions[ADMIT], extensions[ABORT] = self._admit, self.transport.abort
        super().on_headers_complete()
        self._expect(BODY_S)

    def on_message_complete(self) -> None:
        """See httptools."""
        super().on_message_complete()
        self._head_bytes = 0
        self._expect(None)
        if not self.parser.should_upgrade():
            self._table.admit(self.transport)

    def on_response_complete(self) -> None:
        """See uvicorn."""
        super().on_response_complete()
        if not self._is_admitted:
            self._table.release(self.transport)
        self._has_turn = False

    # -- deadlines -----------------------------------------------------------------------------------------------

    def _expect(self, seconds: float | None) -> None:
        """Something must have come by then; None: nothing is expected."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._body_bytes = 0
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._on_deadline)

    def _on_deadline(self) -> None:
        self._deadline = None
        is_coming = self._is_admitted and self._head_bytes < 0 and self._body_bytes >= LEAST_BODY_BYTES
        is_ours = self.flow.read_paused or self._next_turn is not None or self._is_queued  # it is we who don't read
        if is_coming or is_ours:
            self._expect(BODY_S)
        elif self.headers is None:  # not one byte of a request
            self._table.drop(self.transport, "silent")
        else:
            self._table.count_dropped("request_timeout")
            self._refuse(408, "request_timeout", "The request did not come in time.")

    def _refuse_head(self) -> None:
        self._refuse(
            431,
            "request_head_too_large",
            f"The head of a request may have {MAX_HEADERS} headers and {MAX_HEAD_BYTES // 1024} KiB.",
        )

    def _refuse(self, status: int, code: str, message: str) -> None:
        """One typed error, and the end of the connection."""
        self._stop()
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            body = error_body(code, message)
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
        self.loop.call_later(REFUSED_CLOSE_S, self.transport.abort)  # a client that does not read would keep it open


class _Flow(FlowControl):
    """uvicorn's flow control; says when the application reads again."""

    def __init__(self, transport: asyncio.Transport, on_resume: Callable[[], None]) -> None:
        super().__init__(transport)
        self._on_resume = on_resume

    def resume_reading(self) -> None:
        """See uvicorn."""
        was_paused = self.read_paused
        super().resume_reading()
        if was_paused:
            self._on_resume()
