"""Finds the tracking numbers that a typed or spoken text may mean, best first.

Decides the order: a number whose shape and check digit fit is likelier than one that only has the right length, and the
plain reading is likelier than a guess. Does not decide whether a parcel exists; a bounded set of candidates is looked up.
"""

import re

import msgspec

from agentvoicebox_delivery.numbers import carriers
from agentvoicebox_delivery.numbers.spoken import IdReading, readings
from agentvoicebox_delivery.numbers.tokens import clean

SHORTEST, LONGEST = 6, 32  # characters of a tracking number (requirement B1.2)
MOST_CANDIDATES = 16  # ids in one look-up
CLEAR_LEAD = 1.0  # a second reading with a larger distance is not a rival
CLOSE_SCORE = 0.2  # nor is one that looks this much less like a number

_SEPARATORS = re.compile(r"[\s\-./_\u2010-\u2015]+")
_CERTAIN_ZERO = re.compile(r"O(?=O*\d)|(?<=\d)O")

# Letters that a recogniser confuses; the nearest first (vapi-and-sanity §8, confusion sets, shortened).
_SOUNDS_LIKE = {
    "A": "JK", "B": "DPVE", "C": "ZT", "D": "BTG", "E": "BP", "F": "SX", "G": "JDT", "H": "A", "I": "Y", "J": "GK",
    "K": "JA", "M": "N", "N": "M", "P": "BTD", "Q": "U", "S": "FX", "T": "PDB", "U": "Q", "V": "BZ", "X": "SF",
    "Y": "I", "Z": "CV",
}  # fmt: skip
_SOUND_COST = 3.0
MOST_LOST_ZEROS = 3
LOST_ZERO_COST = 2.0  # so that the number is confirmed


class Candidate(msgspec.Struct, frozen=True):
    """A tracking number that a caller may mean.

    Attributes:
        tracking_id: normalised: upper case letters and digits, 6 to 32 of them.
        score: 0 to 1, for comparison among candidates.
        carrier: display name of the carrier it looks like; None for any other.
        check_digit_ok: None where no check digit is known for its shape.
        cost: doubt in the reading; 0 is the plain reading, 1 and more a guess.
    """

    tracking_id: str
    score: float
    carrier: str | None = None
    check_digit_ok: bool | None = None
    cost: float = 0.0


def normalize(typed: str) -> str:
    """A typed id, compact: NFKC, upper case, no spaces, hyphens, dots, slashes or zero-width characters. It may be invalid."""
    return _SEPARATORS.sub("", clean(typed)).upper()


def is_tracking_id(text: str) -> bool:
    """Whether normalised text can be a tracking number: 6 to 32 ASCII letters and digits, a digit among them."""
    return (
        SHORTEST <= len(text) <= LONGEST and text.isascii() and text.isalnum() and any(each.isdigit() for each in text)
    )


def candidates(text: str, *, limit: int = MOST_CANDIDATES) -> list[Candidate]:
    """The tracking numbers that typed or spoken text may mean, best first.

    Args:
        text: typed or recognised text; other words around the number are ignored.
        limit: 1 or more.
    """
    costs: dict[str, float] = {}
    for reading in _all_readings(text):
        if is_tracking_id(reading.text) and reading.cost < costs.get(reading.text, float("inf")):
            costs[reading.text] = reading.cost
    ranked = _rank(costs)
    if not ranked or ranked[0].check_digit_ok:
        return ranked[:limit]
    plain = ranked[0]
    for longer in with_lost_zeros(plain.tracking_id):
        costs.setdefault(longer, plain.cost + LOST_ZERO_COST)
    for alike in _sound_alikes(plain.tracking_id)[: max(0, limit - len(costs))]:
        costs.setdefault(alike, plain.cost + _SOUND_COST)
    guessed = [each for each in _rank(costs) if each.tracking_id != plain.tracking_id]
    return [plain, *guessed][:limit]  # the plain reading comes before similar-sounding ones, even when it is incomplete


def with_lost_zeros(tracking_id: str) -> list[str]:
    """The carriers' numbers that begin with zeros and are otherwise these digits: a program dropped the zeros."""
    if not tracking_id.isdigit():
        return []
    longer = ["0" * zeros + tracking_id for zeros in range(1, MOST_LOST_ZEROS + 1)]
    return [each for each in longer if any(match.check_digit_ok for match in carriers.matches(each))]


def is_certain(found: list[Candidate]) -> bool:
    """Whether the first candidate may be taken literally: plain, without a rival, and with no contradicting check digit."""
    if not found or found[0].cost >= CLEAR_LEAD or found[0].check_digit_ok is False:
        return False
    return not rivals(found)


def rivals(found: list[Candidate]) -> list[Candidate]:
    """Later candidates that the speaker may equally have meant ("thirty one" is 31, or 30 and 1)."""
    first = found[0]
    return [
        other
        for other in found[1:]
        if other.cost <= first.cost + CLEAR_LEAD
        and other.score >= first.score - CLOSE_SCORE
        and (other.check_digit_ok or not first.check_digit_ok)
    ]


def fragment(text: str) -> str:
    """The characters that text plainly spells, of any length: part of a number, or "" for none."""
    found = readings(text)
    return max(found, key=lambda reading: len(reading.text) - 6 * reading.cost).text if found else ""


def _all_readings(text: str) -> list[IdReading]:
    typed = normalize(text)
    found = [IdReading(typed, 0.0)] if is_tracking_id(typed) and not re.search(r"\s", text.strip()) else []
    for reading in [*found, *readings(text)]:
        found.append(reading)
        zeros = _CERTAIN_ZERO.sub("0", reading.text)
        if zeros != reading.text:
            found.append(IdReading(zeros, reading.cost + 1.5))
        if reading.text.startswith(("IZ", "LZ")):
            found.append(IdReading("1Z" + reading.text[2:], reading.cost + 1.0))
    return found


def _rank(costs: dict[str, float]) -> list[Candidate]:
    return sorted((_score(text, cost) for text, cost in costs.items()), key=lambda each: (-each.score, each.cost))


def _score(text: str, cost: float) -> Candidate:
    shapes = carriers.matches(text)
    carrier = shapes[0].carrier if shapes else None
    check_digit_ok = shapes[0].check_digit_ok if shapes else None
    if carriers.is_unfinished(text):
        worth = 0.3
    elif shapes:
        worth = {True: 1.0, None: 0.85, False: 0.5}[check_digit_ok]
    else:
        worth = 0.8 if carriers.MERCHANT_SHAPE.fullmatch(text) else 0.6
    if not text.strip("0"):
        worth, check_digit_ok = 0.2, None  # all zeros pass every check digit
    return Candidate(text, round(max(0.02, worth - 0.12 * cost), 3), carrier, check_digit_ok, cost)


def _sound_alikes(tracking_id: str) -> list[str]:
    """The id with one of its leading letters replaced by a similar-sounding one."""
    letters = re.match(r"[A-Z]{1,5}", tracking_id)
    if letters is None:
        return [f"1Z{tracking_id[2:]}"] if re.match(r"1[CVBETPDG3]", tracking_id) and len(tracking_id) == 18 else []
    variants = [
        (rank, tracking_id[:at] + other + tracking_id[at + 1 :])
        for at, letter in enumerate(letters.group())
        for rank, other in enumerate(_SOUNDS_LIKE.get(letter, ""))
    ]
    return [variant for _, variant in sorted(variants, key=lambda each: each[0])]
