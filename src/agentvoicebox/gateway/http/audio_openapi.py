"""The bodies of `/v1/audio` as OpenAPI describes them. `wire` reads and writes them; `docs/audio.md` explains them."""

from typing import Any

from agentvoicebox.gateway.audio.file_encoder import CONTENT_TYPES as AUDIO_TYPES
from agentvoicebox.http_server.described import file_answered
from agentvoicebox.wire import speech_request, transcription_request
from agentvoicebox.wire.speech_events import EVENTS_TYPE
from agentvoicebox.wire.speech_request import MAX_INPUT_CHARS, MAX_NAME_CHARS, SPEEDS
from agentvoicebox.wire.transcript import CONTENT_TYPES as TRANSCRIPT_TYPES

_MODEL = {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS}
_VOICE: dict[str, Any] = {
    "oneOf": [
        {"type": "string"},
        {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"], "additionalProperties": False},
    ]
}


def _body(content_type: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {content_type: {"schema": schema}}}}


def _choice(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


SPEECH_BODY = _body(
    "application/json",
    {
        "model": _MODEL,
        "input": {"type": "string", "minLength": 1, "maxLength": MAX_INPUT_CHARS},
        "voice": _VOICE,
        "response_format": _choice(*speech_request.FORMATS),
        "speed": {"type": "number", "minimum": SPEEDS[0], "maximum": SPEEDS[1]},
        "instructions": {"type": "string", "maxLength": speech_request.MAX_INSTRUCTIONS_CHARS},
        "stream_format": _choice("audio", "sse"),
    },
    ["model", "input", "voice"],
)
TRANSCRIPTION_BODY = _body(
    "multipart/form-data",
    {
        transcription_request.FILE: {"type": "string", "format": "binary"},
        "model": _MODEL,
        "language": {"type": "string"},
        "prompt": {"type": "string", "maxLength": transcription_request.MAX_PROMPT_CHARS},
        "response_format": _choice(*transcription_request.FORMATS),
        "temperature": {"type": "number", "minimum": 0, "maximum": 1},
        "stream": {"type": "boolean"},
        "timestamp_granularities[]": {"type": "array", "items": _choice("segment")},
    },
    [transcription_request.FILE, "model"],
)

_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_SECONDS = {"type": "object", "properties": {"type": {"const": "duration"}, "seconds": {"type": "integer"}}}
_SEGMENT = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "start": {"type": "number", "description": "Seconds from the beginning."},
        "end": {"type": "number"},
        "text": {"type": "string"},
    },
    "required": ["id", "start", "end", "text"],
}
_TRANSCRIPT = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "usage": _SECONDS,
        "task": {"const": "transcribe", "description": "`verbose_json` only, as the next three."},
        "language": {"type": "string"},
        "duration": {"type": "number", "description": "Seconds."},
        "segments": {"type": "array", "items": _SEGMENT},
    },
    "required": ["text", "usage"],
}


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0]


SPEECH_ANSWER = file_answered(
    {**{_kind(each): {} for each in AUDIO_TYPES.values()}, _kind(EVENTS_TYPE): _TEXT},
    "The audio, in the requested format; with `stream_format` `sse` as events `speech.audio.delta` and `speech.audio.done`.",
)
TRANSCRIPTION_ANSWER = file_answered(
    {
        **{_kind(each): _TEXT for each in TRANSCRIPT_TYPES.values()},
        "application/json": {"schema": _TRANSCRIPT},
        _kind(EVENTS_TYPE): _TEXT,
    },
    "The words, in the requested format; with `stream` as events `transcript.text.delta` and `transcript.text.done`.",
)
