"""The arguments of a call → the readings of a tracking number in them, or what is wrong with them.

Lenient in form (an object, its JSON, its JSON once more as a string; many names for one key; a whole number) and strict in
meaning: a fraction, a truth value, an id cut off in the middle are none.
"""

import re
from typing import Any

from pydantic_core import from_json

MOST_CHARACTERS = 512  # of one spoken id; the longest number takes about 250, spelled in words
MOST_READINGS = 16
LONGEST_NUMBER_BITS = 128  # 38 digits; the longest tracking number has 34

# Keys without case, underscores, hyphens and spaces; the plainest first. Whole names only: `call_id`, `caller_number` and
# `api_version` are static parameters that a tool may add to any call.
ID_KEYS = (
    "trackingid",
    "trackingnumber",
    "trackingcode",
    "trackingno",
    "tracking",
    "shipmentid",
    "shipmentnumber",
    "parcelid",
    "parcelnumber",
    "packageid",
    "packagenumber",
    "id",
    "number",
)
READINGS_KEY = "candidates"
_JOINTS = re.compile(r"[\s_-]+")


class UnreadableArguments(Exception):
    """They hold no object at all."""


def decode_arguments(raw: Any) -> dict[str, Any]:
    """Arguments as an object; nothing at all (absent, null, empty) is one without keys.

    Raises:
        UnreadableArguments: a list, a number, JSON that is cut off.
    """
    for _ in range(3):  # an object; its JSON; that once more
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            return {}
        if isinstance(raw, dict):
            return raw
        if not isinstance(raw, str):
            break
        try:
            raw = from_json(raw, allow_inf_nan=False)
        except ValueError:
            break
    raise UnreadableArguments


def readings(arguments: dict[str, Any]) -> list[str]:
    """The readings of the id, likeliest first, at most 16; [] when none was given that could be meant."""
    by_key: dict[str, Any] = {}
    for key, value in arguments.items():
        by_key.setdefault(_JOINTS.sub("", key).lower(), value)
    given = next((text for key in ID_KEYS if (text := as_text(by_key.get(key)))), "")
    more = by_key.get(READINGS_KEY)
    others = [as_text(each) for each in more[:MOST_READINGS]] if isinstance(more, list) else []
    return list(dict.fromkeys(each for each in (given, *others) if each))[:MOST_READINGS]


def as_text(value: Any) -> str:
    """An id as text; "" for what can't be one. A whole number keeps its digits, a text its leading zeros."""
    if isinstance(value, str):
        return value if value.strip() and len(value) <= MOST_CHARACTERS else ""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= LONGEST_NUMBER_BITS:
        return str(value) if value >= 0 else ""
    return ""
