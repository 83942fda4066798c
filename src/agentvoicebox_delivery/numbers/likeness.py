"""Distance between a recognised and an existing number: the cheapest sequence of recognition errors between them.

Defines the cost of each error, by what recognisers do to spoken numbers: similar letters are confused, a repeated digit
is lost or added, a word is lost. `inquiry` decides what a given distance means.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

RHYME = 0.7  # one character of a set below instead of another
OTHER_LETTER = 1.2
OTHER = 1.5
SAME_SIGN = 0.2  # the letter O for zero, the letter I for one
REPEAT = 0.6  # a repetition too many or too few
LOST = 1.0
ADDED = 1.0
AT_THE_EDGE = 0.7  # a word before or after the number, recognised as a character
SWAPPED = 1.2
ALIKE_WORTH = 0.1  # of a character at either end, in the rough comparison
BAND = 6  # maximum offset between the two
MOST_MISSING = 3  # characters; with more missing, the number was not said completely, and its rest must not be revealed

# Sounds that recognisers confuse, letters and digits (vapi-and-sanity §8; digits with letters as measured).
_SETS = ("AHJK8", "BCDEGPTVZ3", "FSX6", "MN", "N9", "IY59", "QU2", "JG", "AE", "BV")
_SAME = (("O", "0"), ("I", "1"), ("L", "1"))
_PRICES: dict[tuple[str, str], float] = {}
for _set in _SETS:
    for _a in _set:
        for _b in _set:
            _PRICES[_a, _b] = RHYME
for _a, _b in _SAME:
    _PRICES[_a, _b] = _PRICES[_b, _a] = SAME_SIGN


def rhymes(character: str) -> list[str]:
    """The characters that it is most often confused with."""
    return [other for (heard, other), price in _PRICES.items() if heard == character != other and price <= RHYME]


def substitution_cost(heard: str, meant: str) -> float:
    """The cost of recognising one character as another."""
    if heard == meant:
        return 0.0
    price = _PRICES.get((heard, meant))
    if price is not None:
        return price
    return OTHER_LETTER if heard.isalpha() and meant.isalpha() else OTHER


def distance(heard: str, meant: str, most: float, *, most_missing: int = MOST_MISSING) -> float:
    """The cost of recognising `meant` as `heard`; infinity when above `most`, or when their lengths differ too much."""
    if heard == meant:
        return 0.0
    n, m = len(heard), len(meant)
    if n - m > BAND or m - n > min(BAND, most_missing) or _at_least(heard, meant) > most:
        return float("inf")
    far = float("inf")
    before: list[float] = []
    row = [0.0]
    for j in range(1, m + 1):
        row.append(row[-1] + min(AT_THE_EDGE, _deletion_cost(meant, j)) if j <= BAND else far)
    for i in range(1, n + 1):
        older, before, row = before, row, [far] * (m + 1)
        if i <= BAND:
            row[0] = before[0] + AT_THE_EDGE
        for j in range(max(1, i - BAND), min(m, i + BAND) + 1):
            best = min(
                before[j - 1] + substitution_cost(heard[i - 1], meant[j - 1]),
                before[j] + _insertion_cost(heard, i, j == m),
                row[j - 1] + _deletion_cost(meant, j),
            )
            if i > 1 and j > 1 and heard[i - 1] == meant[j - 2] and heard[i - 2] == meant[j - 1]:
                best = min(best, older[j - 2] + SWAPPED)
            row[j] = best
        if min(row) > most:
            return far
    return row[m] if row[m] <= most else far


def _deletion_cost(meant: str, j: int) -> float:
    """The cost of character j (from 1) of `meant` missing in `heard`."""
    character = meant[j - 1]
    is_repeat = (j > 1 and meant[j - 2] == character) or (j < len(meant) and meant[j] == character)
    return REPEAT if is_repeat else LOST


def _insertion_cost(heard: str, i: int, is_at_end: bool) -> float:
    """The cost of character i (from 1) of `heard` that was not said."""
    character = heard[i - 1]
    if (i > 1 and heard[i - 2] == character) or (i < len(heard) and heard[i] == character):
        return REPEAT
    return AT_THE_EDGE if is_at_end else ADDED


def _at_least(heard: str, meant: str) -> float:
    """A lower bound of the distance, from the characters without their order."""
    common = sum((Counter(heard) & Counter(meant)).values())
    return (max(len(heard), len(meant)) - common) * SAME_SIGN + abs(len(heard) - len(meant)) * (REPEAT - SAME_SIGN)


def closest(
    readings: Sequence[tuple[str, float]], meant: str, most: float, *, most_missing: int = MOST_MISSING
) -> float:
    """The least distance of an utterance's readings, each with its doubt; at most `most`."""
    best = most
    for text, cost in readings:
        if cost < best:
            best = min(best, cost + distance(text, meant, best - cost, most_missing=most_missing))
    return best


def most_alike(heard: Sequence[str], ids: Iterable[str], most: int) -> list[str]:
    """The ids worth comparing, by equal characters at the beginning and end, and by common characters."""
    known = list(ids)
    if len(known) <= most:
        return known
    return sorted(known, key=lambda each: (min(_roughly(text, each) for text in heard), each))[:most]


def _roughly(heard: str, meant: str) -> float:
    alike = _shared(heard, meant) + _shared(heard[::-1], meant[::-1])
    return _at_least(heard, meant) - ALIKE_WORTH * min(alike, len(meant))


def _shared(a: str, b: str) -> int:
    """Length of the common prefix."""
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
