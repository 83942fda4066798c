"""JSON that arrives in pieces, or stands in the middle of other text."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec


class JsonScanner:
    """Finds the end of one object or list over pieces of text, without parsing it.

    Attributes:
        is_ended: its last bracket was read.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._is_string = False
        self._is_escaped = False
        self.is_ended = False

    def feed(self, text: str) -> int:
        """How many characters of the piece belong to the value: all, until its last bracket is among them."""
        for place, character in enumerate(text):
            if self._is_string:
                if self._is_escaped:
                    self._is_escaped = False
                elif character == "\\":
                    self._is_escaped = True
                elif character == '"':
                    self._is_string = False
            elif character == '"':
                self._is_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth <= 0:
                    self.is_ended = True
                    return place + 1
        return len(text)


def json_value(text: str) -> Any:
    """The value of JSON text; None where it is invalid, too deep, or null."""
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def json_values(text: str) -> Iterator[tuple[str, Any]]:
    """Each object and list in a text, with the text that stands before it."""
    decoder = json.JSONDecoder()
    since = at = 0
    while True:
        begin = min((place for place in (text.find("{", at), text.find("[", at)) if place >= 0), default=-1)
        if begin < 0:
            return
        try:
            value, at = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            at = text.find("]", begin) + 1  # `[ARGS]` and the like are no JSON
            if text[begin] == "{" or not at:
                return
            continue
        yield text[since:begin], value
        since = at
