"""Extracts comparable facts from an agent's lines, whatever the wording: states, numbers, days, failures."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from agentvoicebox_delivery.grounding.claims import ClaimKind, claims
from agentvoicebox_delivery.grounding.clauses import cut
from agentvoicebox_delivery.grounding.days import Mention

_PAST = re.compile(r"\bwas (?:expected|due)\b")
FAR = 60  # days; parcels are not in transit longer
_FAILURES = {ClaimKind.NOT_FOUND: "not found", ClaimKind.OUTAGE: "can't look up", ClaimKind.INVALID: "no whole number"}


def facts_of(lines: Iterable[str], today: date, *, names: Sequence[str] = ()) -> frozenset[str]:
    """The facts in an agent's lines, each as a short text: `state: on its way`, `day: +2`, `number: 004`, `not found`.

    Args:
        lines: of the agent.
        today: the day of the call; days become differences from it.
        names: places and carriers that may occur in the lines.
    """
    known = {name.lower(): "place" for name in names}
    found: set[str] = set()
    for line in lines:
        for clause in cut(line):
            stated = list(claims(clause, known))
            kinds = {claim.kind for claim in stated}
            if ClaimKind.SIGHTING in kinds:
                continue  # where it was last seen is a detail, reported on demand
            for claim in stated:
                match claim.kind:
                    case ClaimKind.STATE:
                        found.add(f"state: {'not ' if claim.is_denied else ''}{claim.state}")
                    case ClaimKind.NUMBER:
                        found.update(f"number: {number[-3:]}" for number in claim.numbers)
                    case ClaimKind.DAY if claim.day is not None:
                        found.update(
                            _distance(
                                claim.day,
                                today,
                                is_coming=ClaimKind.ARRIVAL in kinds and not _PAST.search(clause.lower()),
                            )
                        )
                    case kind if kind in _FAILURES:
                        found.add(_FAILURES[kind])
    return frozenset(found)


def without_days(facts: frozenset[str]) -> frozenset[str]:
    """The facts whose comparison does not depend on the calendar."""
    return frozenset(fact for fact in facts if not fact.startswith("day: "))


def plain(text: str) -> str:
    """The words in lower case without punctuation, to search for phrases."""
    return " ".join(
        "".join(c if c.isalnum() else " " for c in text.lower().replace("'", "").replace("\u2019", "")).split()
    )


def _distance(mention: Mention, today: date, *, is_coming: bool) -> list[str]:
    """A weekday alone is a coming day where an arrival is stated, and a past one elsewhere."""
    days = [away for away in range(-FAR, FAR + 1) if mention.can_only_be(today + timedelta(days=away), today)]
    days = [away for away in days if (away >= 0) is is_coming] if len(days) > 1 else days
    return [f"day: {days[0]:+d}"] if len(days) == 1 else []
