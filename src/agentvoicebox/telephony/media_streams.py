"""Media Streams of Twilio, and Telnyx's form of them, which differs by names only.

Sources: the carriers' reference pages of their WebSocket messages. Audio is G.711 in base64; a mark is reported when everything
before it was played, and also when a `clear` threw that away.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from agentvoicebox.telephony.line import (
    KEYS,
    CallerAudio,
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

FORMATS = {"audio/x-mulaw": "audio/pcmu", "PCMU": "audio/pcmu", "PCMA": "audio/pcma"}
RATE_HZ = 8_000


class Names(msgspec.Struct, frozen=True):
    """What the fields are called."""

    stream: str
    call: str
    format: str
    rate: str
    parameters: str


TWILIO = Names("streamSid", "callSid", "mediaFormat", "sampleRate", "customParameters")
TELNYX = Names("stream_id", "call_control_id", "media_format", "sample_rate", "custom_parameters")
CALLER = "inbound"  # the track of the caller's audio


class MediaStream:
    """See `line.LineProtocol`.

    Args:
        name: of the provider.
        names: of its fields.
    """

    answers_cleared_marks = True
    most_unplayed_bytes: int | None = None

    def __init__(self, name: str, names: Names) -> None:
        self.name = name
        self._names = names
        self._stream_id = ""

    def read(self, message: Message) -> Sequence[LineEvent]:
        """See `line.LineProtocol`."""
        try:
            event = json.loads(message)
        except ValueError:  # also bytes that are no UTF-8
            raise UnreadableMessage("a message is no JSON") from None
        if not isinstance(event, dict):
            raise UnreadableMessage("a message is no JSON object")
        match event.get("event"):
            case "start":
                return [self._started(_object(event, "start"), event)]
            case "media":
                return self._media(_object(event, "media"))
            case "dtmf":
                key = text_of(_object(event, "dtmf").get("digit")).upper()
                return [KeyPressed(key)] if key in KEYS else []
            case "mark":
                return [MarkPlayed(text_of(_object(event, "mark").get("name")))]
            case "stop":
                return [LineEnded()]
            case _:
                return []

    def audio(self, data: bytes) -> Sequence[Message]:
        """See `line.LineProtocol`."""
        return [self._write("media", {"media": {"payload": base64.b64encode(data).decode()}})]

    def finish(self) -> Sequence[Message]:
        """See `line.LineProtocol`: audio may have any length, so none is held back."""
        return []

    def mark(self, name: str) -> Sequence[Message]:
        """See `line.LineProtocol`."""
        return [self._write("mark", {"mark": {"name": name}})]

    def clear(self) -> Sequence[Message]:
        """See `line.LineProtocol`."""
        return [self._write("clear", {})]

    def hang_up(self) -> Sequence[Message]:
        """See `line.LineProtocol`: the end of the connection ends the stream, and the carrier's script goes on."""
        return []

    def _started(self, start: dict[str, Any], event: dict[str, Any]) -> LineStarted:
        names = self._names
        self._stream_id = text_of(event.get(names.stream) or start.get(names.stream))
        media = _object(start, names.format)
        encoding, rate = media.get("encoding"), media.get(names.rate)
        if encoding not in FORMATS or rate not in (RATE_HZ, str(RATE_HZ)):
            raise UnreadableMessage("the stream's audio is not G.711 at 8 kHz; set the stream's codec to PCMU or PCMA")
        known = {key: text_of(start.get(key)) for key in ("from", "to") if start.get(key)}
        parameters = {**known, **parameters_of(start.get(names.parameters))}
        call_id = text_of(start.get(names.call))
        return LineStarted(call_id, FORMATS[encoding], parameters, asks_afterwards=names is TWILIO)

    def _media(self, media: dict[str, Any]) -> Sequence[LineEvent]:
        if media.get("track", CALLER) != CALLER:
            return []
        payload = media.get("payload")
        try:
            return [CallerAudio(base64.b64decode(payload or "", validate=True))]
        except (binascii.Error, ValueError, TypeError):
            raise UnreadableMessage("a message's audio is no base64") from None

    def _write(self, event: str, fields: dict[str, Any]) -> str:
        return json.dumps({"event": event, self._names.stream: self._stream_id, **fields})


def twilio() -> MediaStream:
    """The protocol of one of Twilio's calls."""
    return MediaStream("twilio", TWILIO)


def telnyx() -> MediaStream:
    """The protocol of one of Telnyx's calls."""
    return MediaStream("telnyx", TELNYX)


def _object(event: dict[str, Any], name: str) -> dict[str, Any]:
    value = event.get(name)
    if not isinstance(value, dict):
        raise UnreadableMessage(f"a message has no object {name}")
    return value
