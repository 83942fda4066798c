"""Reads single fields of a client's event; each error has its own code and the dotted path of the field.

Every reader takes the value and its path and returns the value in our own type, or raises InvalidEvent. The callers
decide what a field does to the session.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from agentvoicebox.errors import InvalidEvent

MAX_OUTPUT_TOKENS = 4_096  # OpenAI's limit for one response
SPEED_RANGE = (0.25, 1.5)
METADATA_PAIRS, METADATA_KEY_CHARS, METADATA_VALUE_CHARS = 16, 64, 512
LOGPROBS = "item.input_audio_transcription.logprobs"
_SHOWN_CHARS = 200  # of a client's own text in an error: enough to find it, too little to echo large inputs

_FIELD = re.compile(r"^Object (?P<fault>missing required|contains unknown) field `(?P<name>.*)`$", re.DOTALL)


def fault(message: str, code: str, param: str | None) -> InvalidEvent:
    """The error for one invalid field; long texts of the client are cut."""
    shown = param if param is None or len(param) <= _SHOWN_CHARS else param[:_SHOWN_CHARS] + "…"
    if len(message) > 4 * _SHOWN_CHARS:
        message = message[: 4 * _SHOWN_CHARS] + "…"
    return InvalidEvent(message, code=code, param=shown)


def wrong_type(value: object, path: str, wanted: str) -> InvalidEvent:
    """A field has the wrong type."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer"}
    found = "null" if value is None else names.get(type(value), "a number")
    return fault(f"Invalid type for '{path}': expected {wanted}, but got {found} instead.", "invalid_value", path)


def missing(path: str) -> InvalidEvent:
    """A required field is missing."""
    return fault(f"Missing required parameter: '{path}'.", "missing_required_parameter", path)


def not_valid(path: str, value: object, wanted: str) -> InvalidEvent:
    """A field has the right type and an invalid value."""
    return fault(f"Invalid value for '{path}': {str(value)[:_SHOWN_CHARS]!r}. {wanted}", "invalid_value", path)


def from_validation(error: msgspec.ValidationError, prefix: str = "") -> InvalidEvent:
    """The error that msgspec found, with our code and a path that starts at `prefix`."""
    what, at, where = str(error).rpartition(" - at `$")  # the text is msgspec's own: "Expected … - at `$.item.id`"
    if not at:
        what, where = where, ""
    path = (prefix + where.removesuffix("`")).removeprefix(".")
    field = _FIELD.match(what)
    if field:
        path = f"{path}.{field['name']}".removeprefix(".")
        return missing(path) if field["fault"] == "missing required" else unknown(path)
    if what.startswith("Expected `int` >="):
        return fault(f"Invalid value for '{path}': {what}.", "integer_below_min_value", path)
    return fault(f"Invalid value for '{path}': {what}.", "invalid_value", path or None)


def unknown(path: str) -> InvalidEvent:
    """An unknown field."""
    return fault(f"Unknown parameter: '{path[:_SHOWN_CHARS]}'.", "unknown_parameter", path)


def reject_unknown(body: dict[str, Any], known: Collection[str], path: str = "") -> None:
    """Raise for the first unknown key. An empty path is the event itself."""
    for key in body:
        if key not in known:
            raise unknown(f"{path}.{key}" if path else key)


def read_object(value: object, path: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise wrong_type(value, path, "an object")
    return value


def read_text(value: object, path: str) -> str:
    """A string, possibly empty."""
    if not isinstance(value, str):
        raise wrong_type(value, path, "a string")
    return value


def read_flag(value: object, path: str) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise wrong_type(value, path, "a boolean")
    return value


def read_choice(value: object, path: str, choices: Iterable[str]) -> str:
    """One of some strings."""
    if not isinstance(value, str):
        raise wrong_type(value, path, "a string")
    if value not in choices:
        raise not_valid(path, value, "Supported values are: " + ", ".join(f"'{choice}'" for choice in choices) + ".")
    return value


def read_number(value: object, path: str, low: float, high: float) -> float:
    """A number within a range, both ends included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(value, path, "a number")
    if not low <= value <= high:
        raise not_valid(path, value, f"It must lie between {low:g} and {high:g}.")
    return float(value)


def read_integer(value: object, path: str, low: int, high: int) -> int:
    """An integer within a range, both ends included. `300.0` is accepted, too."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, path, "an integer")
    if value < low:
        text = f"Invalid value for '{path}': expected a value >= {low}, but got {value} instead."
        raise fault(text, "integer_below_min_value", path)
    if value > high:
        raise not_valid(path, value, f"It must be at most {high}.")
    return value


def read_token_limit(value: object, path: str) -> int | str:
    """1..4096 or `inf`."""
    if isinstance(value, str):
        return read_choice(value, path, ("inf",))
    return read_integer(value, path, 1, MAX_OUTPUT_TOKENS)


def read_modalities(value: object, path: str) -> tuple[str, ...]:
    """`("audio",)` or `("text",)`. Both together mean audio, which always includes its transcript."""
    if not isinstance(value, list | tuple):
        raise wrong_type(value, path, "an array")
    words = {read_choice(word, f"{path}[{index}]", ("text", "audio")) for index, word in enumerate(value)}
    if not words:
        raise not_valid(path, "[]", "Name 'audio' or 'text'.")
    return ("audio",) if "audio" in words else ("text",)


def read_voice(value: object, path: str) -> str:
    """The name of a voice; `{"id": name}` means the same."""
    if isinstance(value, dict):
        reject_unknown(value, ("id",), path)
        if "id" not in value:
            raise missing(f"{path}.id")
        value, path = value["id"], f"{path}.id"
    if not read_text(value, path):
        raise not_valid(path, value, "Name a voice.")
    return str(value)


def read_speed(value: object, path: str) -> float:
    """How fast to speak, 0.25 to 1.5."""
    return read_number(value, path, *SPEED_RANGE)


def read_tool(value: object, path: str) -> dict[str, Any]:
    """One function: `{type, name, description?, parameters?}`. MCP servers are refused, for nothing would call them."""
    body = {key: field for key, field in read_object(value, path).items() if field is not None}
    kind = read_choice(body.get("type", "function"), f"{path}.type", ("function",))
    reject_unknown(body, ("type", "name", "description", "parameters", "strict"), path)
    if not read_text(body.get("name", ""), f"{path}.name"):
        raise missing(f"{path}.name")
    tool: dict[str, Any] = {"type": kind, "name": body["name"]}
    if "description" in body:
        tool["description"] = read_text(body["description"], f"{path}.description")
    if "parameters" in body:
        tool["parameters"] = read_object(body["parameters"], f"{path}.parameters")
    return tool


def read_tools(value: object, path: str) -> tuple[dict[str, Any], ...]:
    """All functions; an empty array clears them."""
    if not isinstance(value, list | tuple):
        raise wrong_type(value, path, "an array")
    return tuple(read_tool(tool, f"{path}[{index}]") for index, tool in enumerate(value))


def read_tool_choice(value: object, path: str) -> str | dict[str, Any]:
    """`auto`, `none`, `required`, or one function. The retired nested spelling of a function is taken, too."""
    if not isinstance(value, dict):
        return read_choice(value, path, ("auto", "none", "required"))
    read_choice(value.get("type", "function"), f"{path}.type", ("function",))
    reject_unknown(value, ("type", "name", "function"), path)
    nested = value.get("function")
    name = nested.get("name") if isinstance(nested, dict) else value.get("name")
    if name is None:
        raise missing(f"{path}.name")
    return {"type": "function", "name": read_text(name, f"{path}.name")}


def read_metadata(value: object, path: str) -> dict[str, str]:
    """Up to 16 pairs of short texts."""
    pairs = read_object(value, path)
    if len(pairs) > METADATA_PAIRS:
        raise fault(f"'{path}' has {len(pairs)} pairs; {METADATA_PAIRS} are allowed.", "invalid_value", path)
    for key, text in pairs.items():
        if len(key) > METADATA_KEY_CHARS:
            raise not_valid(path, key, f"Keys have at most {METADATA_KEY_CHARS} characters.")
        if len(read_text(text, f"{path}.{key}")) > METADATA_VALUE_CHARS:
            raise not_valid(f"{path}.{key}", text, f"Values have at most {METADATA_VALUE_CHARS} characters.")
    return pairs


def read_prompt(value: object, path: str) -> dict[str, Any]:
    """A hosted prompt: `{id, version?, variables?}`. Kept and shown, without effect here."""
    body = read_object(value, path)
    reject_unknown(body, ("id", "version", "variables"), path)
    if "id" not in body:
        raise missing(f"{path}.id")
    read_text(body["id"], f"{path}.id")
    if body.get("version") is not None:
        read_text(body["version"], f"{path}.version")
    if body.get("variables") is not None:
        read_object(body["variables"], f"{path}.variables")
    return body


def read_tracing(value: object, path: str) -> str | dict[str, Any]:
    """`auto` or `{workflow_name?, group_id?, metadata?}`. Kept and shown, without effect here."""
    if not isinstance(value, dict):
        return read_choice(value, path, ("auto",))
    reject_unknown(value, ("workflow_name", "group_id", "metadata"), path)
    for key in ("workflow_name", "group_id"):
        if value.get(key) is not None:
            read_text(value[key], f"{path}.{key}")
    return value


def read_truncation(value: object, path: str) -> str | dict[str, Any]:
    """`auto`, `disabled`, or how much of a long conversation to keep."""
    if not isinstance(value, dict):
        return read_choice(value, path, ("auto", "disabled"))
    reject_unknown(value, ("type", "retention_ratio", "token_limits"), path)
    for key in ("type", "retention_ratio"):
        if key not in value:
            raise missing(f"{path}.{key}")
    read_choice(value["type"], f"{path}.type", ("retention_ratio",))
    read_number(value["retention_ratio"], f"{path}.retention_ratio", 0, 1)
    if value.get("token_limits") is not None:
        limits = read_object(value["token_limits"], f"{path}.token_limits")
        reject_unknown(limits, ("post_instructions",), f"{path}.token_limits")
        if limits.get("post_instructions") is not None:
            read_integer(limits["post_instructions"], f"{path}.token_limits.post_instructions", 0, 2**31 - 1)
    return value


def read_include(value: object, path: str) -> tuple[str, ...]:
    """Additional output; only log probabilities are accepted."""
    if not isinstance(value, list | tuple):
        raise wrong_type(value, path, "an array")
    return tuple(read_choice(word, f"{path}[{index}]", (LOGPROBS,)) for index, word in enumerate(value))
