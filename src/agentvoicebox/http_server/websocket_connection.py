"""A WebSocket connection that can't hold the event loop: uvicorn's, fed with few frames at a time.

Decides how fast a client is parsed: nothing before the upgrade is answered, then a few frames in each turn of the loop, and
nothing after our close but the client's own. Frames beyond the rate wait; TCP then slows the client down. A message in too many
fragments ends the connection.
"""

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.typing import StatusLike

from agentvoicebox.http_server.admit import ADMIT
from agentvoicebox.http_server.frame_splitter import FrameSplitter
from agentvoicebox.http_server.refusal import REFUSED_CLOSE_S, error_body
from agentvoicebox.request_source import source_of
from agentvoicebox.resilience.token_bucket import TokenBucket

if TYPE_CHECKING:
    from websockets.http11 import Request

    from agentvoicebox.http_server.server import ServerConfig

FRAMES_PER_S = 400.0  # 20 ms frames are 50 a second; a recording may come eight times as fast as it was spoken
BURST_S = 2.0  # of frames at that rate
PING_FRAMES = 8  # as many as one ping counts: each is answered, and a client needs one in some seconds
FRAMES_A_TURN = 16  # some 20 µs each
MAX_FRAGMENTS = 512  # of one message; browsers cut 20 MiB into 160
LARGE_BYTES = 128 * 1024  # the application gets a longer message in fragments: decoding it whole takes long
CLOSE_S = 5.0  # for the client's answer to our close; then the connection is aborted
FRAMES_AFTER_CLOSE = 64  # in which the client's own close is looked for
POLICY_VIOLATION = 1008
PING_OPCODE = 9
CLOSE_OPCODE = 8

FRAGMENTS = "fragments"
"""Key in a `websocket.receive` message: the fragments (bytes) of a text message longer than LARGE_BYTES."""


WAITING_SINCE = "waiting_since"
"""Key in a `websocket.receive` message: monotonic time before which none of it can have been at our socket."""

READ_BYTES = 64 * 1024  # a read of less has emptied the kernel's buffer
SLACK_S = 0.002  # between a pause's end and the read that follows at once


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One connection. Made by uvicorn, with a `ServerConfig`."""

    def __init__(self, config: "ServerConfig", *arguments: Any, **named: Any) -> None:
        super().__init__(config, *arguments, **named)
        self.conn.reject = _reject  # type: ignore[method-assign]
        self._table = config.table
        self._turns = config.turns
        self._splitter = FrameSplitter(config.ws_max_size)
        self._bucket = TokenBucket(config.frames_per_s, config.frames_per_s * BURST_S)
        self._next_turn: asyncio.Handle | None = None
        self._fragments = 0  # of the present message
        self._frames_after_close = 0
        self._has_heard = False  # something came since the last ping
        self._lag_s = config.lag.seconds
        self._emptied_s = time.monotonic()  # when nothing was left in the kernel's buffer
        self._resumed_s = 0.0  # when reading was resumed after a pause
        self._since_s = self._emptied_s  # of what is in the splitter, and of the message that is being put together
        self.close_timeout = REFUSED_CLOSE_S

    # -- the connection ------------------------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._cancel_turn()
        self._table.closed(self.transport)
        super().connection_lost(exc)

    def handle_connect(self, event: "Request") -> None:
        """The upgrade request is complete."""
        super().handle_connect(event)
        if self.handshake_complete:  # refused by the library
            return
        cast(dict[str, Any], self.scope["extensions"])[ADMIT] = self._admit

    async def run_asgi(self) -> None:
        """See uvicorn. What the client does not read afterwards must not keep the connection open."""
        await super().run_asgi()
        if not self.disconnected and self.close_timer is None:
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def _admit(self) -> None:
        self.close_timeout = CLOSE_S
        self._table.admit(self.transport)
        self._turns.forgive(source_of("" if self.client is None else self.client[0], {}, ""))

    # -- what comes in -------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._has_heard = True
        if not self.handshake_initiated:
            super().data_received(data)  # the upgrade request; the HTTP parser has bounded it
            return
        self._note_read(len(data))
        self._splitter.feed(data)
        self._take_turn()

    def _note_read(self, size: int) -> None:
        """Since when at the earliest this data may have waited for us to read it."""
        now_s = time.monotonic()
        if not len(self._splitter):  # else older data waits before it
            lag_s = self._lag_s()
            has_waited = now_s - self._resumed_s <= lag_s + SLACK_S
            self._since_s = self._emptied_s if has_waited else max(self._emptied_s, now_s - lag_s)
        if size < READ_BYTES:
            self._emptied_s = now_s

    async def receive(self) -> Any:
        """See ASGI."""
        message = await super().receive()
        if not self.read_paused:
            self._resumed_s = time.monotonic()
        cast(dict[str, Any], message)[WAITING_SINCE] = self._since_s
        self._go_on()
        return message

    async def send(self, message: Any) -> None:
        """See ASGI."""
        await super().send(message)
        if message["type"] == "websocket.accept":
            self._go_on()
        elif message["type"] == "websocket.close" and self.close_timer is not None:
            self._abort_later()
        elif message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # uvicorn would log an error otherwise

    def _go_on(self) -> None:
        """Parse what waits, in the next turn of the loop or when its rate allows it; until then nothing more is read."""
        if self.read_paused:
            return
        if self._next_turn is None and len(self._splitter):
            self._next_turn = self.loop.call_soon(self._take_turn)
        if self._next_turn is not None:
            self._hold()  # uvicorn has resumed it

    def _take_turn(self) -> None:
        self._cancel_turn()
        wait_s = 0.0
        for _ in range(FRAMES_A_TURN):
            if not self._may_parse():
                break
            piece = self._splitter.take()
            if piece is None:
                break
            if piece.opcode is not None:
                wait_s = self._bucket.take(self.loop.time(), PING_FRAMES if piece.opcode == PING_OPCODE else 1)
                self._count_fragment(piece.opcode)
                if self.close_sent:
                    break
            super().data_received(piece.data)
            if wait_s:
                self._next_turn = self.loop.call_later(wait_s, self._take_turn)
                break
        else:
            self._next_turn = self.loop.call_soon(self._take_turn)
        if self.close_sent:
            self._look_for_close()
        elif self._next_turn is not None or (len(self._splitter) and not self._may_parse()):
            self._hold()
        elif not self.read_paused and not self.transport.is_closing():
            self._resumed_s = time.monotonic()
            self.transport.resume_reading()

    def _may_parse(self) -> bool:
        return self.handshake_complete and not (self.close_sent or self.read_paused or self.transport.is_closing())

    def _hold(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _cancel_turn(self) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    def _count_fragment(self, opcode: int) -> None:
        if opcode in (1, 2):
            self._fragments = 1
        elif opcode == 0:
            self._fragments += 1
        if self._fragments > MAX_FRAGMENTS:
            self._table.count_dropped("fragments")
            self._fail(f"a message has more than {MAX_FRAGMENTS} fragments")

    def send_receive_event_to_app(self) -> None:
        """A message is complete."""
        if self.close_sent or self.curr_msg_data_type != "text" or sum(map(len, self.frames)) <= LARGE_BYTES:
            super().send_receive_event_to_app()
            return
        self.queue.put_nowait({"type": "websocket.receive", FRAGMENTS: self.frames})  # type: ignore[arg-type]
        self.frames = []
        self.read_paused = True
        self._hold()

    # -- the end -------------------------------------------------------------------------------------------------

    def _fail(self, reason: str) -> None:
        """Close because of what the client sent."""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": POLICY_VIOLATION, "reason": reason})
        self.conn.send_close(POLICY_VIOLATION, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timeout = REFUSED_CLOSE_S
        self._abort_later()

    def _abort_later(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
        self._cancel_turn()
        if not self.transport.is_closing():
            self.transport.resume_reading()  # unread data would make the kernel reset the connection, and our close be lost
        self._look_for_close()

    def _look_for_close(self) -> None:
        """After our close, only the client's own counts. Whatever else comes is dropped unparsed."""
        while (piece := self._splitter.take()) is not None:
            self._frames_after_close += piece.opcode is not None
            if piece.opcode == CLOSE_OPCODE:
                self.transport.close()
                return
            if self._frames_after_close > FRAMES_AFTER_CLOSE:
                self.transport.abort()
                return

    # -- keep-alive ----------------------------------------------------------------------------------------------

    def send_keepalive_ping(self) -> None:
        """See uvicorn."""
        self._has_heard = False
        super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """No pong in time. A client whose data waits here is alive: its pong is behind them."""
        if self.ping_timeout is not None and (self._has_heard or self.read_paused or self._next_turn is not None):
            self._has_heard = False
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
            return
        super().keepalive_timeout()


def _reject(status: StatusLike, text: str) -> Response:
    """The library's answer to an upgrade that is none, in the form of all errors."""
    body = error_body("bad_upgrade", text.partition("\n")[0])
    headers = Headers(
        {"Connection": "close", "Content-Length": str(len(body)), "Content-Type": "application/json"},
    )
    return Response(int(status), HTTPStatus(status).phrase, headers, body)
