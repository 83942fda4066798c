"""An outcome in the form of each protocol. One line, bounded, and nothing in it that the outcome does not hold."""

import json
from typing import Any

import msgspec

from agentvoicebox.text import plain_text
from agentvoicebox.tools.definition import Outcome

MOST_SPOKEN = 1000  # characters of `results[].message`
TOO_MANY_CALLS = "TOO_MANY_CALLS"

UNKNOWN_TOOL = "UNKNOWN_TOOL"
INVALID = "invalid"  # the status of arguments with which nothing could be done
_FAULTS = frozenset({UNKNOWN_TOOL, TOO_MANY_CALLS})  # bugs of the assistant, not outcomes of a tool


def status_of(outcome: Outcome) -> str:
    """How it went, in one word (requirement B1.4): the tool's own, else `success` or `error`."""
    return outcome.status or ("error" if outcome.is_error else "success")


def answer(outcome: Outcome) -> dict[str, Any]:
    """For REST: `status`, `code`, `speech`, `data`, flat enough for a platform that picks values by path."""
    return {
        "status": status_of(outcome),
        "code": outcome.code,
        "speech": one_line(outcome.speech),
        "data": _clean(outcome.data),
    }


def result_text(outcome: Outcome) -> str:
    """For a model: the answer as compact JSON, which holds no line break of any kind."""
    return msgspec.json.encode(answer(outcome)).decode()


def tool_result(call_id: str | int, name: str, outcome: Outcome) -> dict[str, Any]:
    """One entry of `results`.

    The message is spoken as it stands, so no model comes between the facts and the caller.
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
    """JSON in UTF-8. An id that holds half a surrogate pair is echoed escaped, as it must have come."""
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
