"""How far what was recognised is from what was said, in words."""

import re
from collections.abc import Sequence

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPELT = frozenset({"pkg"})  # written as one word by the recogniser, and said letter by letter


def words(text: str) -> list[str]:
    """The words of a text as they are spoken: digits and spelt names one by one, without punctuation."""
    found: list[str] = []
    for token in re.findall(r"[a-z']+|[0-9]", text.lower()):
        if token.isdigit():
            found.append(DIGITS[int(token)])
        else:
            found += list(token) if token in SPELT else [token]
    return found


def word_errors(said: str, heard: str) -> int:
    """The least number of words to insert, delete or replace."""
    return _distance(words(said), words(heard))


def word_error_rate(said: str, heard: str) -> float:
    """Errors for each word that was said; 0.0 when nothing was said."""
    return word_errors(said, heard) / max(1, len(words(said)))


def _distance(first: Sequence[str], second: Sequence[str]) -> int:
    row = list(range(len(second) + 1))
    for index, word in enumerate(first, 1):
        before, row[0] = row[0], index
        for place, other in enumerate(second, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]
