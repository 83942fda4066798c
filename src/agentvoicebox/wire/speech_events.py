"""Server-sent events of the audio API, and the usage that they report."""

import base64
from typing import Any

import msgspec

EVENTS_TYPE = "text/event-stream; charset=utf-8"


class SpeechUsage(msgspec.Struct, frozen=True):
    """What a text and its speech, or a recording and its text, count for.

    Attributes:
        input_tokens: of the text, or of the recording.
        output_tokens: of the audio, or of the transcript.
    """

    input_tokens: int
    output_tokens: int

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens


def delta_event(audio: bytes) -> dict[str, Any]:
    """`speech.audio.delta`: the next bytes of the file."""
    return {"type": "speech.audio.delta", "audio": base64.b64encode(audio).decode()}


def done_event(usage: SpeechUsage) -> dict[str, Any]:
    """`speech.audio.done`."""
    counted = {**msgspec.structs.asdict(usage), "total_tokens": usage.total_tokens}
    return {"type": "speech.audio.done", "usage": counted}


def error_event(error: dict[str, Any]) -> dict[str, Any]:
    """What has broken the stream off; it is the last event."""
    return {"type": "error", "error": error}


def as_event(body: dict[str, Any]) -> bytes:
    """One event of a `text/event-stream`."""
    return b"data: " + msgspec.json.encode(body) + b"\n\n"
