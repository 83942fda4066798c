"""Damage to JSON for fuzzers: values, keys and bytes are changed so that the result is close to something valid."""

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

EXTREMES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 2**64, 10**40, 0.5, -0.0, 1e308, float("nan"), float("inf"),
    float("-inf"), "", " ", "\x00", "\u2028", "\ud83d", "\udfff x", "\ufeff", "é", "\u202e", "null", "{}", "[]", '"', "'; --",
    "{{", "../..", "%s%n", "NaN", "x" * 600, [], {}, [[]], [None], {"": None}, {"id": "x"}, {"type": "x"},
)  # fmt: skip
"""Values at the edges of their types; json.dumps writes those beyond JSON (NaN, half surrogates), too."""
BETWEEN = (
    b"[" * 500, b"[" * 1_500 + b"]" * 1_500, b"\x00", b"\xff", b"NaN", b"\\ud800", b'{"a":', b"9" * 5000, b"/**/", b",", b"1e999",
)  # fmt: skip
DEEP = (2, 20, 62, 66)
LONG = (500, 500, 500, 5_000, 5_000, 70_000)
MANY = 80  # values; a larger body is not made forty times as large


class Mutator:
    """Changes JSON values and their bytes.

    Args:
        chance: decides everything, so the same seed gives the same damage.
        atoms: values that may replace others.
        keys: names that may be added.
    """

    def __init__(self, chance: random.Random, atoms: Sequence[Any] = EXTREMES, keys: Sequence[str] = ()) -> None:
        self._chance = chance
        self._atoms = atoms
        self._keys = keys or ("type", "id", "")

    def bend(self, body: Any) -> Any:
        """The value with one thing changed, somewhere; changed in place where it can be."""
        chance = self._chance
        places: list[tuple[Any, Any]] = []
        _note_places(body, places)
        if not places:
            return _copied(chance.choice(self._atoms))
        node, key = chance.choice(places)
        match chance.randrange(9):
            case 0 | 1 | 2:
                node[key] = _copied(chance.choice(self._atoms))
            case 3:
                del node[key]
            case 4:
                node[key] = [_copied(node[key])] * chance.choice((1, 2, 40 if len(places) < MANY else 3))
            case 5:
                node[key] = _as_text(node[key])
            case 6 if isinstance(node, dict):
                node[chance.choice(self._keys)] = _copied(node[key])
            case 7 if chance.random() < 0.2:
                node[key] = nested(node[key], chance.choice(DEEP))
            case _:
                other, from_key = chance.choice(places)
                node[key] = _copied(other[from_key])
        return body

    def written(self, body: Any, damaged: float = 0.3) -> bytes:
        """The value as JSON bytes, damaged with this probability: cut, flipped, with something in between, a text
        made long, or a key twice."""
        chance = self._chance
        raw = bytearray(_as_text(body).encode())
        if chance.random() >= damaged:
            return bytes(raw)
        match chance.randrange(6):
            case 0:
                del raw[chance.randrange(len(raw) + 1) :]
            case 1:
                for _ in range(chance.randrange(1, 6)):
                    raw[chance.randrange(len(raw))] = chance.randrange(256)
            case 2:
                at = chance.randrange(len(raw))
                raw[at:at] = chance.choice(BETWEEN)
            case 3:
                raw = bytearray(b"\xef\xbb\xbf") + raw
            case 4 if (at := raw.rfind(b': "')) > 0:
                raw[at + 3 : at + 3] = chance.choice((b"x", b"\\u0000", "é".encode())) * chance.choice(LONG)
            case _ if raw.startswith(b"{"):
                twice = json.dumps({chance.choice(self._keys): chance.choice(self._atoms)}).encode()
                raw[:1] = twice[:-1] + (b"," if len(raw) > 2 else b"")
        return bytes(raw)


def nested(value: Any, levels: int) -> Any:
    """The value inside so many lists."""
    for _ in range(levels):
        value = [value]
    return value


def _as_text(value: Any) -> str:
    try:
        return json.dumps(value)
    except RecursionError:  # nested again and again
        return "[" * 3_000


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except RecursionError:
        return None


def _note_places(node: Any, places: list[tuple[Any, Any]]) -> None:
    """All (container, key) of a value. Not recursive, since `nested` makes values deeper than Python's stack."""
    level = [node]
    while level:
        inner = level.pop()
        if isinstance(inner, dict):
            places += [(inner, key) for key in inner]
            level += inner.values()
        elif isinstance(inner, list):
            places += [(inner, index) for index in range(len(inner))]
            level += inner
