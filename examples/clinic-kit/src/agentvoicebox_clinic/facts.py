"""Facts about an appointment: those that a sentence states, and those that a tool's result holds. Pure.

Reads days of the week, times (`9:30`, `nine thirty`, `nine o'clock`), doctors, and that something is cancelled. A model that
words them otherwise is not understood; for a kit that reads more, see `agentvoicebox_delivery.grounding`.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

Fact = tuple[str, str]
"""Kind and value: ("day", "tuesday"), ("time", "9:30"), ("doctor", "lee"), ("state", "cancelled")."""

_HOURS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_MINUTES = {"o'clock": "00", "fifteen": "15", "thirty": "30", "forty-five": "45"}
_DAY = re.compile(r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b")
_DIGITAL = re.compile(r"\b(\d{1,2})[:.](\d\d)\b")
_WORDS = re.compile(rf"\b({'|'.join(_HOURS)}|\d{{1,2}}) ({'|'.join(_MINUTES)})\b")
_DOCTOR = re.compile(r"\b(?:doctor|dr\.?) (\w+)")
_CANCELLED = re.compile(r"\bcancell?ed\b")
_END = re.compile(r"(?<=[.!?])(?<!\bDr\.)\s+")


def sentences(text: str) -> list[str]:
    """A text, sentence by sentence; the last one may be incomplete or empty."""
    return _END.split(text)


def facts_in(text: str) -> frozenset[Fact]:
    """The facts that a text states."""
    low = text.lower().replace("\u2019", "'")
    found: set[Fact] = {("day", day) for day in _DAY.findall(low)}
    found |= {("time", f"{_hour(hour)}:{minutes}") for hour, minutes in _DIGITAL.findall(low)}
    found |= {("time", f"{_hour(hour)}:{_MINUTES[word]}") for hour, word in _WORDS.findall(low)}
    found |= {("doctor", name) for name in _DOCTOR.findall(low)}
    return frozenset(found | ({("state", "cancelled")} if _CANCELLED.search(low) else set()))


def facts_of(output: str) -> frozenset[Fact]:
    """The facts in the data of a tool's result; its sentence does not count."""
    data = read(output).get("data")
    if not isinstance(data, dict) or "day" not in data:
        return frozenset()
    return facts_in("{day} {time} Doctor {doctor}".format_map(data) + (" cancelled" if data["is_cancelled"] else ""))


def unsupported(sentence: str, outputs: Iterable[str]) -> frozenset[Fact]:
    """The facts of a sentence that no single result holds together; the fewest, over all results."""
    stated = facts_in(sentence)
    return min((stated - facts_of(output) for output in outputs), key=len, default=stated)


def read(output: str) -> dict[str, Any]:
    """A result as an object; {} for anything else."""
    try:
        answer = msgspec.json.decode(output.encode())
    except msgspec.DecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def reason(facts: Iterable[Fact]) -> str:
    """Why a sentence is refused: the kinds of its unsupported facts, without a word of what was said."""
    return "unsupported: " + ", ".join(sorted({kind for kind, _ in facts}))


def _hour(hour: str) -> int:
    number = int(hour) if hour.isdigit() else _HOURS.index(hour) + 1
    return (number - 1) % 12 + 1  # 14:45 is said as 2:45
