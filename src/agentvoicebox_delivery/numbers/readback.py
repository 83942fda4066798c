"""Reads a tracking number back to a caller: in small groups, digits as words, and letters that can't be confused."""

import re

from agentvoicebox_delivery.numbers import lexicon

GROUP = 4  # characters per group; people remember three to four
ENDING = 4  # characters that identify a parcel without its whole number

_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NATO = {letter: name for name, letter in lexicon.NATO.items() if name not in ("alfa", "juliett", "juliette", "whisky")}
_EXAMPLES = {letter: name.capitalize() for letter, name in _NATO.items()} | {"X": "X-ray"}
# Letters that sound alike on a telephone (vapi-and-sanity §8); these get an example word.
_CONFUSABLE = frozenset("BCDEGPTVZFSMN")


def readback(tracking_id: str) -> str:
    """The whole id in groups: "P K G, zero zero four"; long or unusual letters with an example: "one Z for Zulu, …".

    Letters stand alone when three or fewer open the id (a merchant's own prefix, which its customers know); inside an id,
    confusable letters get an example word.
    """
    prefix = re.match(r"[A-Z]{1,4}(?=\d+$)", tracking_id)
    if prefix:
        return f"{' '.join(prefix.group())}, {_groups(tracking_id[prefix.end() :])}"
    if tracking_id.startswith("1Z") and len(tracking_id) > 2:
        return f"one Z for Zulu, {_groups(tracking_id[2:])}"
    return _groups(tracking_id)


def ending(tracking_id: str) -> str:
    """The last characters, enough to identify the parcel: "six seven eight four"; of `PKG004` "zero zero four"."""
    return " ".join(_spoken(character) for character in spelled_ending(tracking_id))


def spelled_ending(tracking_id: str) -> str:
    """The characters that `ending` says."""
    digits = re.search(r"\d{3,}$", tracking_id)
    return digits.group()[-ENDING:] if digits else tracking_id[-ENDING:]


def _groups(characters: str) -> str:
    count = max(1, round(len(characters) / (GROUP - 0.5)))
    size, extra = divmod(len(characters), count)
    groups, at = [], 0
    for index in range(count):
        end = at + size + (1 if index >= count - extra else 0)
        groups.append(" ".join(_spoken(character) for character in characters[at:end]))
        at = end
    return ", ".join(group for group in groups if group)


def _spoken(character: str) -> str:
    if character.isdigit():
        return _DIGIT_WORDS[int(character)]
    return f"{character} for {_EXAMPLES[character]}" if character in _CONFUSABLE else character
