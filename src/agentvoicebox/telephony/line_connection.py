"""The WebSocket of one telephone line: its messages as events, and what is sent to it."""

from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telephony.line import LineEvent, LineProtocol, LineStarted, Message, UnreadableMessage

MAX_MESSAGE_BYTES = 64 * 1024  # 48 kB of audio in base64 are six seconds; carriers send 20 ms
BAD_MESSAGE = 1007

log = get_logger(__name__)


class LineConnection:
    """One connection: messages to events."""

    def __init__(self, websocket: WebSocket, protocol: LineProtocol) -> None:
        self._websocket = websocket
        self._protocol = protocol

    async def started(self) -> LineStarted | None:
        """The start of the call; None when the connection ends first."""
        while events := await self.receive():
            found = next((event for event in events if isinstance(event, LineStarted)), None)
            if found is not None:
                return found
        return None

    async def receive(self) -> list[LineEvent]:
        """The next events, at least one; empty when the connection has ended, or what came can't be read."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return []
            given: Message = message.get("text") or message.get("bytes") or ""
            try:
                if len(given) > MAX_MESSAGE_BYTES:
                    raise UnreadableMessage(f"a message has more than {MAX_MESSAGE_BYTES} bytes")
                events = list(self._protocol.read(given))
            except UnreadableMessage as error:
                log.warning("a line can't be read", provider=self._protocol.name, reason=str(error))
                with suppress(RuntimeError, WebSocketDisconnect):
                    await self._websocket.close(BAD_MESSAGE, str(error)[:120])
                return []
            if events:
                return events

    async def send(self, message: Message) -> None:
        """Send; ignored when the line has gone, which `receive` tells."""
        with suppress(RuntimeError, WebSocketDisconnect):
            if isinstance(message, str):
                await self._websocket.send_text(message)
            else:
                await self._websocket.send_bytes(message)
