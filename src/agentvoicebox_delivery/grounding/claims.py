"""Extracts the claims of a clause; every word of it belongs to a claim or an allowed phrase.

`folding` makes names, days and numbers one token each; then the clause is read from left to right as phrases of `frames`
and `statements`, the longest first. Words outside all phrases are claims of their own, which nothing can support. `judgement`
decides whether a claim is true.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from agentvoicebox_delivery.grounding import frames, misses, reported, statements, wordings
from agentvoicebox_delivery.grounding.clauses import words
from agentvoicebox_delivery.grounding.days import Mention
from agentvoicebox_delivery.grounding.folding import COUNTS, DIGITS, FoldedToken, fold


class ClaimKind(StrEnum):
    """What a phrase is."""

    LINK = "link"
    NEUTRAL = "neutral"
    COURTESY = "courtesy"
    REQUEST = "request"
    LIMIT = "limit"
    ANNOUNCEMENT = "announcement"
    YES = "yes"
    NO = "no"
    OF_COURSE = "of course"
    OTHER_PARCEL = "other parcel"
    FIRST_PARCEL = "first parcel"
    SECOND_PARCEL = "second parcel"
    STATE = "state"
    ARRIVAL = "arrival"
    OVERDUE = "overdue"
    NOT_RECORDED = "not recorded"
    SEVERAL = "several"
    NOT_DAY = "not that day"
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
HARMLESS = frozenset({ClaimKind.LINK, ClaimKind.NEUTRAL, ClaimKind.COURTESY, ClaimKind.REQUEST, ClaimKind.LIMIT})


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
        is_whole = self.text.endswith(("will not be delivered", "not cleared customs", "not cleared customs yet"))
        return " not " in f" {self.text} " and not is_whole and self.state != "bad news"


_TABLE: tuple[tuple[ClaimKind, str, Sequence[str]], ...] = (
    (ClaimKind.OVERDUE, "", (*wordings.OVERDUE, *reported.OVERDUE)),
    (ClaimKind.NOT_RECORDED, "", wordings.NOT_RECORDED),
    *((ClaimKind.STATE, name, (pattern,)) for name, (pattern, _, _) in statements.STATES.items()),
    *((ClaimKind.STATE, name, patterns) for name, patterns in wordings.STATES.items()),
    *((ClaimKind.STATE, name, patterns) for name, patterns in reported.STATES.items()),
    (ClaimKind.ARRIVAL, "", (*statements.ARRIVAL, *wordings.ARRIVAL, *reported.ARRIVAL)),
    (ClaimKind.SEVERAL, "", (*wordings.SEVERAL, *misses.SEVERAL)),
    (ClaimKind.LIMIT, "", wordings.LIMITS),
    (ClaimKind.NEUTRAL, "", wordings.PLAIN),
    (ClaimKind.COURTESY, "", wordings.COURTESIES),
    (ClaimKind.NOT_DAY, "", wordings.NOT_DAY),
    (ClaimKind.SIGHTING, "", (*statements.SIGHTING, *wordings.SIGHTING, *reported.SIGHTING)),
    (ClaimKind.AGE, "", (*statements.AGE, *misses.AGE)),
    (ClaimKind.NOTHING_NEWER, "", (*statements.NOTHING_NEWER, *misses.NOTHING_NEWER)),
    (ClaimKind.NOT_FOUND, "", (*statements.NOT_FOUND, *wordings.NOT_FOUND, *misses.NOT_FOUND)),
    (ClaimKind.OUTAGE, "", (*statements.OUTAGE, *wordings.OUTAGE, *misses.OUTAGE)),
    (ClaimKind.INVALID, "", (*statements.INVALID, *wordings.INVALID, *misses.INVALID)),
    (ClaimKind.FOUND, "", (*statements.FOUND, *wordings.FOUND, *reported.FOUND)),
    (ClaimKind.UNKNOWN_DAY, "", (*statements.UNKNOWN_DAY, *wordings.UNKNOWN_DAY, *misses.UNKNOWN_DAY)),
    (ClaimKind.UNKNOWN_PLACE, "", (*statements.UNKNOWN_PLACE, *wordings.UNKNOWN_PLACE)),
    (ClaimKind.UNKNOWN_CARRIER, "", statements.UNKNOWN_CARRIER),
    (ClaimKind.CARRIER, "", statements.BY_CARRIER),
    (ClaimKind.CARRIER, "", wordings.BY_CARRIER),
    (ClaimKind.PLACE, "", statements.IN_PLACE),
    (ClaimKind.DAY, "", statements.ON_DAY),
    (ClaimKind.NUMBER, "", statements.WITH_ID),
    (ClaimKind.OTHER_PARCEL, "", (frames.OTHER_PARCEL,)),
    (ClaimKind.FIRST_PARCEL, "", (frames.FIRST_PARCEL,)),
    (ClaimKind.SECOND_PARCEL, "", (frames.SECOND_PARCEL,)),
    (ClaimKind.YES, "", (*frames.YES, *wordings.YES, *reported.YES)),
    (ClaimKind.NO, "", (*frames.NO, *wordings.NO)),
    (ClaimKind.OF_COURSE, "", frames.OF_COURSE),
    (ClaimKind.LIMIT, "", frames.LIMITS),
    (ClaimKind.ANNOUNCEMENT, "", frames.ANNOUNCEMENTS),
    (ClaimKind.REQUEST, "", frames.REQUESTS),
    (ClaimKind.REQUEST, "", (*wordings.REQUESTS, *misses.REQUESTS)),
    (ClaimKind.REQUEST, "", frames.WAITS),
    (ClaimKind.COURTESY, "", (*frames.COURTESIES, *misses.COURTESIES)),
    (ClaimKind.LINK, "", (*frames.LINKS, *misses.LINKS)),
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


def _compiled(ways: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?:{way})(?= |$)") for way in ways)


def _rows() -> Iterator[tuple[ClaimKind, str, re.Pattern[str], tuple[re.Pattern[str], ...]]]:
    """Each row with its ways, and with all of them in one pattern: most rows are passed over by one look."""
    for kind, state, patterns in _TABLE:
        ways = [way for pattern in patterns for way in _ways(pattern)]
        yield kind, state, _compiled(["|".join(f"(?:{way})" for way in ways)])[0], _compiled(ways)


_PHRASES = tuple(_rows())

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


def claims(clause: str, names: Mapping[str, str]) -> list[ClauseClaim]:
    """The claims of a clause, in order.

    Args:
        clause: as it was written.
        names: normalised names of places and carriers, and which of the two each is.
    """
    return claims_of(fold(words(clause), names))


def claims_of(tokens: Sequence[FoldedToken]) -> list[ClauseClaim]:
    """The claims of folded words, in order."""
    return list(_phrases(tokens))


def _phrases(tokens: Sequence[FoldedToken]) -> Iterator[ClauseClaim]:
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
        for kind, state, any_way, ways in _PHRASES:
            if any_way.match(text, start) is None:
                continue
            for way in ways:
                match = way.match(text, start)
                if match and match.end() > best:
                    best, found = match.end(), (kind, state)
        last = index + 1
        while last < len(tokens) and starts[last] < best:
            last += 1
        covered = tokens[index:last]
        if found is None or _hides_a_name(tokens, index, last):
            yield _uncovered(covered, is_name=_hides_a_name(tokens, index, last))
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


def _hides_a_name(tokens: Sequence[FoldedToken], first: int, last: int) -> bool:
    """Whether an everyday word inside a sentence is capitalised as a name ("in Reading", "from Nice")."""
    return any(
        tokens[index].is_capital
        and tokens[index].text.islower()
        and tokens[index].text not in ("i", "eta", "english", "ai")
        and index > 0
        and tokens[index - 1].text not in (".", "?", ",")
        for index in range(first, last)
    )


def _uncovered(tokens: Sequence[FoldedToken], *, is_name: bool) -> ClauseClaim:
    text = " ".join(token.text for token in tokens)
    first = tokens[0]
    if first.text in wordings.NEUTRAL and not is_name:
        return ClauseClaim(ClaimKind.NEUTRAL, text)
    if first.text in _SORT_OF:
        return ClauseClaim(_SORT_OF[first.text], text)
    if first.text.isdigit() or first.text in DIGITS or first.text in COUNTS:
        return ClauseClaim(ClaimKind.COUNT, text)
    return ClauseClaim(ClaimKind.NAME if first.is_capital else ClaimKind.WORDS, text)
