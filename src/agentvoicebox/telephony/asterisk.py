"""The WebSocket channel of Asterisk (`chan_websocket`, 20.18, 22.8 or newer, `control_message_format=json`).

Audio is binary; text frames are commands and events. Asterisk owns the playout clock: what is sent is queued and played in real
time, and a mark is reported as soon as everything before it was played. A mark that a flush threw away is never reported. Of a
message it plays whole frames only and discards the rest (seen with 22.10), so the rest is sent with the audio that follows.
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
SILENCE = {"audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}
MAX_MESSAGE_BYTES = 8_000  # one of 80,000 closes the connection (measured with Asterisk 22)
MOST_UNPLAYED_BYTES = 64_000  # 8 s; it keeps 20 s, says MEDIA_XOFF at 18 s, and discards what is on the way by then
CALL_VARIABLE = "AVB_CALL"  # set by a script that asks afterwards what to do: the id by which it will
FRAME_BYTES = 160  # 20 ms, unless the channel says otherwise


class AsteriskChannel:
    """See `line.LineProtocol`."""

    name = "asterisk"
    answers_cleared_marks = False
    most_unplayed_bytes: int | None = MOST_UNPLAYED_BYTES

    def __init__(self) -> None:
        self._frame_bytes = FRAME_BYTES
        self._silence = SILENCE["audio/pcmu"]
        self._rest = b""

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
                return [self._started(event)]
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
        data = self._rest + data
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        step = max(1, MAX_MESSAGE_BYTES // self._frame_bytes) * self._frame_bytes
        return [data[start : min(start + step, whole)] for start in range(0, whole, step)]

    def finish(self) -> Sequence[Message]:
        """See `line.LineProtocol`: the rest becomes a whole frame."""
        return self.audio(self._silence * (self._frame_bytes - len(self._rest))) if self._rest else []

    def mark(self, name: str) -> Sequence[Message]:
        """See `line.LineProtocol`."""
        return [_command("MARK_MEDIA", correlation_id=name)]

    def clear(self) -> Sequence[Message]:
        """See `line.LineProtocol`."""
        self._rest = b""
        return [_command("FLUSH_MEDIA")]

    def hang_up(self) -> Sequence[Message]:
        """See `line.LineProtocol`."""
        return [_command("HANGUP")]

    def _started(self, event: dict[str, object]) -> LineStarted:
        format = event.get("format")
        if format not in FORMATS:
            raise UnreadableMessage("the channel's audio is not G.711; dial it with c(ulaw) or c(alaw)")
        size = event.get("optimal_frame_size")
        if isinstance(size, int) and 0 < size <= MAX_MESSAGE_BYTES:
            self._frame_bytes = size
        spoken = FORMATS[str(format)]
        self._silence = SILENCE[spoken]
        inherited = parameters_of(event.get("channel_variables"))
        parameters = {name.lstrip("_"): value for name, value in inherited.items()}  # as `Set(__agent=…)` names it
        call_id = parameters.get(CALL_VARIABLE, "")
        return LineStarted(
            call_id or text_of(event.get("channel_id")), spoken, parameters, asks_afterwards=bool(call_id)
        )


def _command(name: str, **fields: str) -> str:
    return json.dumps({"command": name, **fields})
