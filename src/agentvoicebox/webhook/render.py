"""Formats an outcome for each protocol, as one line of bounded length. Adds nothing to the outcome."""

import json
from typing import Any

import msgspec

from agentvoicebox.text import plain_text
from agentvoicebox.tools.definition import Outcome

MOST_SPOKEN = 1000  # characters of `results[].message`
TOO_MANY_CALLS = "TOO_MANY_CALLS"

UNKNOWN_TOOL = "UNKNOWN_TOOL"
INVALID = "invalid"  # the status of invalid arguments
_FAULTS = frozenset({UNKNOWN_TOOL, TOO_MANY_CALLS})  # faults of the assistant, not outcomes of a tool


def status_of(outcome: Outcome) -> str:
    """The status in one word (requirement B1.4): the tool's own, else `success` or `error`."""
    return outcome.status or ("error" if outcome.is_error else "success")


def answer(outcome: Outcome) -> dict[str, Any]:
    """The answer for REST: `status`, `code`, `speech`, `data`; flat, for platforms that select values by path."""
    return {
        "status": status_of(outcome),
        "code": outcome.code,
        "speech": one_line(outcome.speech),
        "data": _clean(outcome.data),
    }


def result_text(outcome: Outcome) -> str:
    """The answer for a language model: compact JSON without line breaks."""
    return msgspec.json.encode(answer(outcome)).decode()


def tool_result(call_id: str | int, name: str, outcome: Outcome) -> dict[str, Any]:
    """One entry of `results`.

    The platform speaks the message unchanged, so that no model can alter the facts.
    """
    speech = one_line(outcome.speech)[:MOST_SPOKEN]
    if outcome.code in _FAULTS:
        text = f"unknown tool {plain_text(name, 64)}" if outcome.code == UNKNOWN_TOOL else "too many calls at once"
        return {
            "toolCallId": call_id,
            "name": name,
            "error": text.strip(),
            "message": {"type": "request-failed", "content": speech},
        }
    return {
        "toolCallId": call_id,
        "name": name,
        "result": result_text(outcome),
        "message": {"type": "request-complete", "content": speech},
    }


def one_line(text: str) -> str:
    """Text without control characters and line separators."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def as_json(body: object) -> bytes:
    """JSON in UTF-8. An id with half a surrogate pair is written with an escape, as it must have been received."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value
