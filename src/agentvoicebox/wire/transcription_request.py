"""The fields of `POST /v1/audio/transcriptions` → a request with our own types, or one error that names the field.

A form has text alone: numbers and flags come as words, and a list as a field that comes several times.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from agentvoicebox.wire.checks import fault, missing, not_valid, read_choice, unknown
from agentvoicebox.wire.speech_request import read_name

FILE = "file"
FORMATS = ("json", "text", "verbose_json", "srt", "vtt")
# An id of a language as recognisers know it: `en`, `en-US`; and the names that Whisper's users send, `english`.
LANGUAGE = re.compile(r"[A-Za-z]{2,16}(-[A-Za-z0-9]{2,8})*")
MAX_PROMPT_CHARS = 16_384
LISTS = ("timestamp_granularities", "include")
FIELDS = ("model", "language", "prompt", "response_format", "temperature", "stream", "chunking_strategy", *LISTS)

TranscriptFormat = Literal["json", "text", "verbose_json", "srt", "vtt"]


class TranscriptionRequest(msgspec.Struct, frozen=True):
    """How a recording is to be transcribed.

    Attributes:
        format: of the answer.
        language: a hint for the recogniser; None: it decides.
        prompt: words to expect; None: none.
        is_events: the text comes as server-sent events, piece by piece.
    """

    format: TranscriptFormat = "json"
    language: str | None = None
    prompt: str | None = None
    is_events: bool = False


def read_transcription_request(fields: Mapping[str, Sequence[str]]) -> TranscriptionRequest:
    """Read the fields of a form, without the file.

    Args:
        fields: values by name, in order.

    Raises:
        InvalidEvent: a field is missing, unknown or invalid; `param` names it.
    """
    values: dict[str, str] = {}
    for name, given in fields.items():
        plain = name.removesuffix("[]")
        if plain not in FIELDS or (name != plain and plain not in LISTS):
            raise unknown(name)
        if len(given) > 1 and plain not in LISTS:
            raise not_valid(name, given[1], "Give it once.")
        values[plain] = given[0]
    if "model" not in values:
        raise missing("model")
    read_name(values["model"], "model")
    request = TranscriptionRequest(
        format=read_choice(values.get("response_format") or "json", "response_format", FORMATS),  # type: ignore[arg-type]
        language=_read_language(values.get("language")),
        prompt=_read_prompt(values.get("prompt")),
        is_events=read_choice(values.get("stream") or "false", "stream", ("true", "false")) == "true",
    )
    _check_temperature(values.get("temperature"))
    _check_lists(fields)
    if (strategy := values.get("chunking_strategy")) and strategy != "auto" and not strategy.startswith("{"):
        raise not_valid(
            "chunking_strategy", strategy, "It is 'auto' or an object; recordings are always cut at pauses."
        )
    if request.is_events and request.format not in ("json", "text"):
        raise not_valid("stream", "true", "Only the response formats 'json' and 'text' can be streamed.")
    return request


def _read_language(value: str | None) -> str | None:
    if not value:
        return None
    if not LANGUAGE.fullmatch(value):
        raise not_valid("language", value, "Give the code of a language, such as 'en'.")
    return value


def _read_prompt(value: str | None) -> str | None:
    if value is not None and len(value) > MAX_PROMPT_CHARS:
        message = f"Invalid value for 'prompt': it has {len(value):,} characters, and {MAX_PROMPT_CHARS:,} are allowed."
        raise fault(message, "string_above_max_length", "prompt")
    return value or None


def _check_temperature(value: str | None) -> None:
    """It has no effect: the recognisers take the likeliest words, as 0 asks for."""
    try:
        is_valid = 0.0 <= float(value or "0") <= 1.0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise not_valid("temperature", value, "It must lie between 0 and 1.")


def _check_lists(fields: Mapping[str, Sequence[str]]) -> None:
    for name, values in fields.items():
        for value in values:
            if name.startswith("timestamp_granularities") and value != "segment":
                raise not_valid(name, value, "Times are known of segments, not of words: ask for 'segment'.")
            if name.startswith("include") and value:
                raise not_valid(name, value, "The recognisers give no log probabilities: leave it out.")
