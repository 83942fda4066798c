"""The WebSocket channel of Asterisk (`chan_websocket`, 20.18, 22.8 or newer, `control_message_format=json`).

Audio is binary; text frames are commands and events. Asterisk owns the playout clock: what is sent is queued and played in real
time, and a mark is reported as soon as everything before it was played. A mark that a flush threw away is never reported.
"""

import json
from collections.abc import Sequence

from agentvoicebox.telephony.line import (
    KEYS,
    CallerAudio,
    FlowChanged,
    KeyPressed,
    LineEnded,
    LineEvent,
    LineStarted,
    MarkPlayed,
    Message,
    UnreadableMessage,
    parameters_of,
    text_of,
)

FORMATS = {"ulaw": "audio/pcmu", "alaw": "audio/pcma"}
MAX_FRAME_BYTES = 8_000  # a frame of 80,000 closes the connection (measured with Asterisk 22)


class AsteriskChannel:
    """See `line.LineProtocol`."""

    name = "asterisk"
    answers_cleared_marks = False

    def read(self, message: Message) -> Sequence[LineEvent]:
        """See `line.LineProtocol`."""
        if isinstance(message, bytes):
            return [CallerAudio(message)]
        try:
            event = json.loads(message)
        except ValueError:
            raise UnreadableMessage(
                "a text frame is no JSON; set control_message_format=json in chan_websocket.conf"
            ) from None
        if not isinstance(event, dict):
            raise UnreadableMessage("a text frame is no JSON object")
        match event.get("event"):
            case "MEDIA_START":
                return [_started(event)]
            case "DTMF_END":
                key = text_of(event.get("digit")).upper()
                return [KeyPressed(key)] if key in KEYS else []
            case "MEDIA_MARK_PROCESSED":
                return [MarkPlayed(text_of(event.get("correlation_id")))]
            case "MEDIA_XOFF":
                return [FlowChanged(False)]
            case "MEDIA_XON":
                return [FlowChanged(True)]
            case "HANGUP" | "CHANNEL_HANGUP":
                return [LineEnded()]
            case _:
                return []

    def audio(self, data: bytes) -> Sequence[Message]:
        """See `line.LineProtocol`."""
        return [data[start : start + MAX_FRAME_BYTES] for start in range(0, len(data), MAX_FRAME_BYTES)]

    def mark(self, name: str) -> Sequence[Message]:
        """See `line.LineProtocol`."""
        return [_command("MARK_MEDIA", correlation_id=name)]

    def clear(self) -> Sequence[Message]:
        """See `line.LineProtocol`."""
        return [_command("FLUSH_MEDIA")]

    def hang_up(self) -> Sequence[Message]:
        """See `line.LineProtocol`."""
        return [_command("HANGUP")]


def _started(event: dict[str, object]) -> LineStarted:
    format = event.get("format")
    if format not in FORMATS:
        raise UnreadableMessage("the channel's audio is not G.711; dial it with c(ulaw) or c(alaw)")
    return LineStarted(
        text_of(event.get("channel_id")), FORMATS[str(format)], parameters_of(event.get("channel_variables"))
    )


def _command(name: str, **fields: str) -> str:
    return json.dumps({"command": name, **fields})
