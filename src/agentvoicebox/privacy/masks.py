"""Masks: text without its letters and digits, and JSON with its words taken out.

A mask keeps length, spaces, punctuation and capitals, since these alone decide where speech is cut into segments. Pure.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from agentvoicebox.privacy.redact import HIDDEN

# Fields of inputs and effects that hold what people said or wrote; everything else is structure, ids and numbers.
WORD_KEYS = frozenset(
    {
        "text",
        "transcript",
        "delta",
        "arguments",
        "output",
        "instructions",
        "description",
        "message",
        "said",
        "prompt",
        "param",  # names a field of the client, which may have any name
    }
)
# Known fields of a session. A client may send any other name, and anything under it; it is refused, and recorded with its update.
SESSION_KEYS = frozenset(
    {
        "type", "object", "id", "model", "expires_at", "output_modalities", "instructions", "tools", "tool_choice",
        "max_output_tokens", "tracing", "truncation", "prompt", "include", "audio", "input", "output", "format", "rate",
        "transcription", "language", "noise_reduction", "strength", "turn_detection", "threshold", "prefix_padding_ms",
        "silence_duration_ms", "idle_timeout_ms", "create_response", "interrupt_response", "eagerness", "voice", "speed",
        "degraded", "modalities", "input_audio_format", "output_audio_format", "input_audio_transcription",
        "input_audio_noise_reduction", "max_response_output_tokens", "temperature", "reasoning", "parallel_tool_calls",
        "client_secret",
    }
)  # fmt: skip
_SESSION_GROUPS = frozenset({"audio", "input", "output"})
BULK_KEYS = frozenset({"audio", "image_url", "images"})  # sound and pictures: nothing is kept
DEEP_KEYS = frozenset({"metadata", "prompt", "parameters", "tracing"})  # objects that the client defines
# The segmenter does not cut after these, so they are kept. They identify no person.
ABBREVIATIONS = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|No|vs|etc|e\.g|i\.e)\.")
SECRET_KEY = re.compile(
    r"secret|token|passw|signature|credential|authorization|api_?-?key|private|^auth|cookie", re.IGNORECASE
)


def masked_text(text: str, *, keeps_abbreviations: bool = True) -> str:
    """Text of the same length: letters are x (capitals of ASCII X), digits 0; the rest stays."""
    if not keeps_abbreviations:
        return "".join(map(_masked, text))
    pieces, at = [], 0
    for match in ABBREVIATIONS.finditer(text):
        pieces += [*map(_masked, text[at : match.start()]), match.group()]
        at = match.end()
    return "".join([*pieces, *map(_masked, text[at:])])


def _masked(character: str) -> str:
    if character.isnumeric():
        return "0"
    if character.isalpha():
        return "X" if "A" <= character <= "Z" else "x"
    return character


def masked_words(value: Any, *, keeps_abbreviations: bool = True) -> Any:
    """JSON-able data of inputs or effects, with people's words masked; the structure stays."""
    if isinstance(value, dict):
        return {key: _masked_field(key, each, keeps_abbreviations) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [masked_words(each, keeps_abbreviations=keeps_abbreviations) for each in value]
    return value


def _masked_field(key: str, value: Any, keeps_abbreviations: bool) -> Any:
    if key in BULK_KEYS and isinstance(value, str | list | tuple):
        return "" if isinstance(value, str) else [""] * len(value)
    if key in WORD_KEYS and isinstance(value, str):
        return masked_text(value, keeps_abbreviations=keeps_abbreviations)
    if key == "session" and isinstance(value, dict):
        return _masked_session(value, keeps_abbreviations)
    if key in DEEP_KEYS and isinstance(value, dict):
        return _all_masked(value)
    return masked_words(value, keeps_abbreviations=keeps_abbreviations)


def _masked_session(session: dict[str, Any], keeps_abbreviations: bool) -> dict[str, Any]:
    masked: dict[str, Any] = {}
    for key, value in session.items():
        if key not in SESSION_KEYS:
            masked[masked_text(key, keeps_abbreviations=False)] = _all_masked(value)
        elif key in _SESSION_GROUPS and isinstance(value, dict):
            masked[key] = _masked_session(value, keeps_abbreviations)
        else:
            masked[key] = _masked_field(key, value, keeps_abbreviations)
    return masked


def _all_masked(value: Any) -> Any:
    if isinstance(value, str):
        return masked_text(value, keeps_abbreviations=False)
    if isinstance(value, dict):
        return {key: _all_masked(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_all_masked(each) for each in value]
    return value


def masked_json(text: str, mask: Callable[[Any], Any]) -> str:
    """JSON text with `mask` applied to what it holds; other text becomes its shape."""
    try:
        return msgspec.json.encode(mask(msgspec.json.decode(text.encode()))).decode()
    except (msgspec.DecodeError, RecursionError):
        return masked_text(text, keeps_abbreviations=False)


def without_secrets(value: Any, key: str = "") -> Any:
    """A platform's request with only its secrets hidden: what local mode keeps."""
    if SECRET_KEY.search(key) and value is not None:
        return HIDDEN
    if isinstance(value, dict):
        return {name: without_secrets(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [without_secrets(each, key) for each in value]
    return value
