"""Objects as JSON text that a jsonb column takes."""

import re

import msgspec

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # the escape itself, not a backslash followed by "u0000"


def to_jsonb(body: dict[str, object]) -> str:
    """JSON text that jsonb can hold: PostgreSQL has no NUL in text, so it becomes the replacement character."""
    encoded = msgspec.json.encode(body).decode()
    return _NUL.sub(r"\1\\ufffd", encoded) if "\\u0000" in encoded else encoded
