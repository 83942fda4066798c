"""The body of `POST /v1/audio/speech` → a request with our own types, or one error that names the field."""

from collections.abc import Collection
from typing import Any, Literal

import msgspec

from agentvoicebox.wire.checks import (
    fault,
    missing,
    not_valid,
    read_choice,
    read_number,
    read_object,
    read_text,
    read_voice,
    reject_unknown,
)

SpeechFormat = Literal["mp3", "opus", "flac", "wav", "pcm"]

MAX_INPUT_CHARS = 4_096  # as OpenAI
MAX_INSTRUCTIONS_CHARS = 4_096
MAX_NAME_CHARS = 128
SPEEDS = (0.25, 2.0)  # what the engines can do; OpenAI's range goes on to 4
FORMATS = ("mp3", "opus", "flac", "wav", "pcm")
DEFAULT_FORMAT: SpeechFormat = "mp3"  # as OpenAI
FIELDS = ("model", "input", "voice", "response_format", "speed", "instructions", "stream_format")


class SpeechRequest(msgspec.Struct, frozen=True):
    """Text to be spoken.

    Attributes:
        text: 1 to 4,096 characters.
        voice: one of the voices that there are.
        format: of the audio.
        speed: 0.25 to 2.
        is_events: the audio comes as server-sent events, not as a file.
    """

    text: str
    voice: str
    format: SpeechFormat = DEFAULT_FORMAT
    speed: float = 1.0
    is_events: bool = False


def read_speech_request(body: object, voices: Collection[str]) -> SpeechRequest:
    """Read a body.

    Args:
        body: decoded JSON.
        voices: names of all voices; if there are none, any name is taken.

    Raises:
        InvalidEvent: a field is missing, unknown or invalid; `param` names it.
    """
    fields = read_object(body, "body")
    reject_unknown(fields, FIELDS)
    given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    for name in ("model", "input", "voice"):
        if name not in given:
            raise missing(name)
    read_name(given["model"], "model")
    _read_bounded(given.get("instructions", ""), "instructions", MAX_INSTRUCTIONS_CHARS)
    text = _read_bounded(given["input"], "input", MAX_INPUT_CHARS)
    if not text.strip():
        raise not_valid("input", text, "Give a text with words in it.")
    return SpeechRequest(
        text=text,
        voice=_read_known_voice(given["voice"], voices),
        format=read_choice(given.get("response_format", DEFAULT_FORMAT), "response_format", FORMATS),  # type: ignore[arg-type]
        speed=read_number(given.get("speed", 1.0), "speed", *SPEEDS),
        is_events=read_choice(given.get("stream_format", "audio"), "stream_format", ("audio", "sse")) == "sse",
    )


def read_name(value: object, path: str) -> str:
    """The name of a model: any text, because the server's own engines answer whatever it is."""
    name = _read_bounded(value, path, MAX_NAME_CHARS)
    if not name.strip():
        raise not_valid(path, name, "Name a model; any name is taken.")
    return name


def _read_bounded(value: object, path: str, most: int) -> str:
    text = read_text(value, path)
    if len(text) > most:
        message = f"Invalid value for '{path}': it has {len(text):,} characters, and {most:,} are allowed."
        raise fault(message, "string_above_max_length", path)
    return text


def _read_known_voice(value: object, voices: Collection[str]) -> str:
    name = read_voice(value, "voice")
    if voices and name not in voices:
        raise not_valid("voice", name, "Voices are: " + ", ".join(voices) + ".")
    return name
