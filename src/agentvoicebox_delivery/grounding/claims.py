"""A clause → what it claims, each word accounted for.

Names, days and numbers are folded into one token each; then the clause is read from left to right as phrases of `frames`
and `statements`, the longest first. Words that no phrase covers are claims of their own, which nothing can bear out. Whether
a claim is true is decided in `judgement`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from agentvoicebox_delivery.grounding import frames, statements
from agentvoicebox_delivery.grounding.clauses import ClauseWord, words
from agentvoicebox_delivery.grounding.days import Mention, mention_at
from agentvoicebox_delivery.grounding.words import cardinal
from agentvoicebox_delivery.numbers import lexicon


class ClaimKind(StrEnum):
    """What a phrase is."""

    LINK = "link"
    COURTESY = "courtesy"
    REQUEST = "request"
    LIMIT = "limit"
    YES = "yes"
    NO = "no"
    OF_COURSE = "of course"
    OTHER_PARCEL = "other parcel"
    FIRST_PARCEL = "first parcel"
    SECOND_PARCEL = "second parcel"
    STATE = "state"
    ARRIVAL = "arrival"
    SIGHTING = "sighting"
    AGE = "age"
    NOTHING_NEWER = "nothing newer"
    NOT_FOUND = "not found"
    OUTAGE = "outage"
    INVALID = "invalid"
    FOUND = "found"
    UNKNOWN_DAY = "unknown day"
    UNKNOWN_PLACE = "unknown place"
    UNKNOWN_CARRIER = "unknown carrier"
    CARRIER = "carrier"
    PLACE = "place"
    DAY = "day"
    NUMBER = "number"
    # What no phrase covers, sorted for reports; all of it is refused.
    HEDGE = "hedge"
    PROMISE = "promise"
    TIME = "time"
    COUNT = "count"
    MONEY = "money"
    CONTACT = "contact"
    NAME = "name"
    WORDS = "words"


# What says nothing about a parcel.
HARMLESS = frozenset({ClaimKind.LINK, ClaimKind.COURTESY, ClaimKind.REQUEST, ClaimKind.LIMIT})


class ClauseClaim(msgspec.Struct, frozen=True):
    """One phrase of a clause.

    Attributes:
        kind: what it is.
        text: normalised words, folded.
        state: for STATE: the key in `statements.STATES`.
        names: normalised places and carriers in it.
        numbers: characters of tracking numbers in it.
        day: for DAY.
        age: for AGE: (count, unit), the unit in seconds.
    """

    kind: ClaimKind
    text: str
    state: str = ""
    names: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    day: Mention | None = None
    age: tuple[int, int] | None = None

    @property
    def is_denied(self) -> bool:
        """Whether a state is said not to hold."""
        return " not " in f" {self.text} "


_TABLE: tuple[tuple[ClaimKind, str, Sequence[str]], ...] = (
    *((ClaimKind.STATE, name, (pattern,)) for name, (pattern, _, _) in statements.STATES.items()),
    (ClaimKind.ARRIVAL, "", statements.ARRIVAL),
    (ClaimKind.SIGHTING, "", statements.SIGHTING),
    (ClaimKind.AGE, "", statements.AGE),
    (ClaimKind.NOTHING_NEWER, "", statements.NOTHING_NEWER),
    (ClaimKind.NOT_FOUND, "", statements.NOT_FOUND),
    (ClaimKind.OUTAGE, "", statements.OUTAGE),
    (ClaimKind.INVALID, "", statements.INVALID),
    (ClaimKind.FOUND, "", statements.FOUND),
    (ClaimKind.UNKNOWN_DAY, "", statements.UNKNOWN_DAY),
    (ClaimKind.UNKNOWN_PLACE, "", statements.UNKNOWN_PLACE),
    (ClaimKind.UNKNOWN_CARRIER, "", statements.UNKNOWN_CARRIER),
    (ClaimKind.CARRIER, "", statements.BY_CARRIER),
    (ClaimKind.PLACE, "", statements.IN_PLACE),
    (ClaimKind.DAY, "", statements.ON_DAY),
    (ClaimKind.NUMBER, "", statements.WITH_ID),
    (ClaimKind.OTHER_PARCEL, "", (frames.OTHER_PARCEL,)),
    (ClaimKind.FIRST_PARCEL, "", (frames.FIRST_PARCEL,)),
    (ClaimKind.SECOND_PARCEL, "", (frames.SECOND_PARCEL,)),
    (ClaimKind.YES, "", frames.YES),
    (ClaimKind.NO, "", frames.NO),
    (ClaimKind.OF_COURSE, "", frames.OF_COURSE),
    (ClaimKind.LIMIT, "", frames.LIMITS),
    (ClaimKind.REQUEST, "", frames.REQUESTS),
    (ClaimKind.REQUEST, "", frames.WAITS),
    (ClaimKind.COURTESY, "", frames.COURTESIES),
    (ClaimKind.LINK, "", frames.LINKS),
)


def _ways(pattern: str) -> list[str]:
    """The alternatives of a pattern, each by itself: `re` takes the first that fits, here the longest counts."""
    found, depth = [""], 0
    for part in re.findall(r"\\.|.", pattern):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if part == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += part
    return found


_PHRASES = tuple(
    (kind, state, re.compile(rf"(?:{way})(?= |$)"))
    for kind, state, patterns in _TABLE
    for pattern in patterns
    for way in _ways(pattern)
)

# Words for reports of what was refused, not for the refusal: anything unknown is refused.
_SORTS: dict[ClaimKind, str] = {
    ClaimKind.CONTACT: "http https www com net org phone dial email website link hotline @",
    ClaimKind.MONEY: "$ € £ dollar dollars euro euros pound pounds cent cents refund refunds refunded compensation compensated"
    " money fee fees pay paid free voucher charge charges duty duties",
    ClaimKind.HEDGE: "probably likely maybe perhaps might may could almost nearly soon shortly hopefully about around seem seems"
    " appear appears think guess should any",
    ClaimKind.TIME: "morning noon afternoon evening night tonight week weeks weekend hour hours minute minutes month months clock"
    " am pm midnight later yesterday tomorrow today since until",
    ClaimKind.PROMISE: "will shall promise guarantee guaranteed definitely going have rescheduled notify arrange arranged",
}
_SORT_OF = {word: kind for kind, listed in _SORTS.items() for word in listed.split()}

_DIGITS = dict(lexicon.DIGITS) | {"oh": "0"}
_AGES = {"minute": 60, "hour": 3_600, "day": 86_400}
_COUNTS = {cardinal(number).replace("-", " "): number for number in range(1, 100)} | {"a": 1, "an": 1}
_AGE = re.compile(
    r"(?:(?:about|roughly|around) )?(?P<count>less than a|\d{1,2}|[a-z]+(?: [a-z]+)?)"
    r" (?P<unit>minute|hour|day)s? (?:ago|old)(?= |$)"
)
_BEFORE_AGE = (
    "as of ",
    "this is from ",
    "that is from ",
    "that was ",
    "this was ",
    "the state ",
    "the case ",
    "true ",
    "information is ",
)


class _Folded(msgspec.Struct):
    """A token: a word, or a group of words."""

    text: str
    is_capital: bool
    is_shouted: bool = False
    name: str = ""
    number: str = ""
    day: Mention | None = None
    age: tuple[int, int] | None = None


def claims(clause: str, names: Mapping[str, str]) -> list[ClauseClaim]:
    """The claims of a clause, in order.

    Args:
        clause: as it was written.
        names: normalised names of places and carriers, and which of the two each is.
    """
    return list(_phrases(_fold(words(clause), names)))


def _phrases(tokens: Sequence[_Folded]) -> Iterator[ClauseClaim]:
    text = " ".join(token.text for token in tokens)
    starts = []
    at = 0
    for token in tokens:
        starts.append(at)
        at += len(token.text) + 1
    index = 0
    while index < len(tokens):
        start = starts[index]
        best, found = start, None
        for kind, state, pattern in _PHRASES:
            match = pattern.match(text, start)
            if match and match.end() > best:
                best, found = match.end(), (kind, state)
        last = index + 1
        while last < len(tokens) and starts[last] < best:
            last += 1
        covered = tokens[index:last]
        if found is None or _hides_a_name(tokens, index, last):
            yield _uncovered(covered)
        else:
            yield ClauseClaim(
                found[0],
                " ".join(token.text for token in covered),
                found[1],
                tuple(token.name for token in covered if token.name),
                tuple(token.number for token in covered if token.number),
                next((token.day for token in covered if token.day), None),
                next((token.age for token in covered if token.age), None),
            )
        index = last


def _hides_a_name(tokens: Sequence[_Folded], first: int, last: int) -> bool:
    """Whether an everyday word inside a sentence is capitalised as a name ("in Reading", "from Nice")."""
    return any(
        tokens[index].is_capital
        and tokens[index].text.islower()
        and tokens[index].text not in ("i", "eta")
        and index > 0
        and tokens[index - 1].text not in (".", "?", ",")
        for index in range(first, last)
    )


def _uncovered(tokens: Sequence[_Folded]) -> ClauseClaim:
    text = " ".join(token.text for token in tokens)
    first = tokens[0]
    if first.text in _SORT_OF:
        return ClauseClaim(_SORT_OF[first.text], text)
    if first.text.isdigit() or first.text in _DIGITS or first.text in _COUNTS:
        return ClauseClaim(ClaimKind.COUNT, text)
    return ClauseClaim(ClaimKind.NAME if first.is_capital else ClaimKind.WORDS, text)


def _fold(found: Sequence[ClauseWord], names: Mapping[str, str]) -> list[_Folded]:
    """The words with each name, day, age and tracking number as one token."""
    tokens = [_Folded(word.low, word.is_capital, word.is_shouted) for word in found]
    return _fold_numbers(_fold_days(_fold_names(tokens, names)))


def _fold_names(tokens: list[_Folded], names: Mapping[str, str]) -> list[_Folded]:
    folded: list[_Folded] = []
    at = 0
    longest_first = sorted(names, key=len, reverse=True)
    while at < len(tokens):
        for name in longest_first:
            parts = name.split()
            held = tokens[at : at + len(parts)]
            if [token.text for token in held] == parts and held[0].is_capital:
                folded.append(_Folded(names[name].upper(), True, name=name))
                at += len(parts)
                break
        else:
            folded.append(tokens[at])
            at += 1
    return folded


def _fold_days(tokens: list[_Folded]) -> list[_Folded]:
    text = " ".join(token.text for token in tokens)
    folded: list[_Folded] = []
    start = at = 0
    while at < len(tokens):
        taken = None
        age = _AGE.match(text, start)
        if age and text[:start].endswith(_BEFORE_AGE) and (span := _age(age)) is not None:
            taken = _Folded("AGE", False, age=span)
            end = age.end()
        elif day := mention_at(text, start):
            taken = _Folded("DAY", False, day=day)
            end = day.end
        if taken is None:
            folded.append(tokens[at])
            start += len(tokens[at].text) + 1
            at += 1
            continue
        folded.append(taken)
        while at < len(tokens) and start < end:
            start += len(tokens[at].text) + 1
            at += 1
    return folded


def _age(match: re.Match[str]) -> tuple[int, int] | None:
    count, unit_s = match["count"], _AGES[match["unit"]]
    if count == "less than a":
        return (0, unit_s)
    number = int(count) if count.isdigit() else _COUNTS.get(count)
    return None if number is None else (number, unit_s)


def _fold_numbers(tokens: list[_Folded]) -> list[_Folded]:
    folded: list[_Folded] = []
    at = 0
    while at < len(tokens):
        characters, end = _number_at(tokens, at)
        if len(characters) > 1:
            folded.append(_Folded("ID", True, number=characters))
            at = end
        else:
            folded.append(tokens[at])
            at += 1
    return folded


def _number_at(tokens: Sequence[_Folded], start: int) -> tuple[str, int]:
    """The characters of a tracking number that begins here, and its end; commas between groups belong to it."""
    characters, end, at = "", start, start
    while at < len(tokens):
        more, taken = _characters(tokens, at)
        if not more:
            break
        characters += more
        end = at = at + taken
        if at < len(tokens) and tokens[at].text == ",":
            at += 1
    return characters, end


def _characters(tokens: Sequence[_Folded], at: int) -> tuple[str, int]:
    """Characters of one word, and how many words were used; ("", 1) for any other word."""
    token = tokens[at]
    low = token.text
    following = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if low in lexicon.MULTIPLIERS and (following in _DIGITS or (len(following) == 1 and following.isalnum())):
        return (_DIGITS.get(following) or following.upper()) * lexicon.MULTIPLIERS[low], 2
    if low in _DIGITS:
        return _DIGITS[low], 1
    if not (low.isascii() and low.isalnum()) or token.text.isupper():
        return "", 1
    if any(character.isdigit() for character in low):
        is_quantity = re.fullmatch(r"\d+(?:st|nd|rd|th|am|pm|kg|km|h)", low) or (
            low.isdigit() and len(low) < 3 and following in ("am", "pm")
        )
        return ("", 1) if is_quantity else (low.upper(), 1)
    if not token.is_capital:
        return "", 1
    if len(low) == 1:
        example = tokens[at + 2].text if at + 2 < len(tokens) and following in ("for", "as") else ""
        if example == "in" and at + 3 < len(tokens):
            return (low.upper(), 4) if tokens[at + 3].text.startswith(low) else (low.upper(), 1)
        if len(example) > 1 and example.startswith(low):
            return low.upper(), 3
        return ("", 1) if low == "i" and not _is_character(tokens, at + 1) else (low.upper(), 1)
    return (low.upper(), 1) if token.is_shouted and len(low) <= 5 and _is_digit(tokens, at + 1) else ("", 1)


def _is_digit(tokens: Sequence[_Folded], at: int) -> bool:
    text = tokens[at].text if at < len(tokens) else ""
    return text in _DIGITS or text.isdigit()


def _is_character(tokens: Sequence[_Folded], at: int) -> bool:
    return _is_digit(tokens, at) or (at < len(tokens) and len(tokens[at].text) == 1 and tokens[at].text.isalnum())
