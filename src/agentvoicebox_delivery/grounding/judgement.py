"""Decides whether a clause may be said, given the tool results. One clause at a time.

A clause passes when it carries no fact (`free_words`), or when each word of it belongs to a known phrase and each claim in it is
supported by a result of this call (`clause_checker`). Free parts of a clause may be left out of that check (`parts`). `clauses`
cuts a stream into clauses, `grounder` replaces refused ones, and `answers` defines the meaning of a "yes".
"""

from collections.abc import Sequence
from functools import partial

import msgspec

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.want_reading import want_of
from agentvoicebox_delivery.grounding.answers import asks_whether
from agentvoicebox_delivery.grounding.claims import ClauseClaim, claims_of
from agentvoicebox_delivery.grounding.clause_checker import ClauseChecker
from agentvoicebox_delivery.grounding.clauses import cut, normal, words
from agentvoicebox_delivery.grounding.facts import Facts, Parcel
from agentvoicebox_delivery.grounding.folding import fold
from agentvoicebox_delivery.grounding.free_words import is_free
from agentvoicebox_delivery.grounding.parts import bearing
from agentvoicebox_delivery.grounding.presumptions import is_unknowable, presumes
from agentvoicebox_delivery.grounding.refusal import ClaimRefused

NOT_CERTAIN = "I can't say that for certain."
NO_NUMBER_YET = f"I can't look up a parcel without its number. {phrases.ASK}"

# The dialogue's own lines that state nothing about a parcel.
_OWN = frozenset(
    normal(clause)
    for line in (
        phrases.GREETING, phrases.ASK, phrases.GREETED, phrases.GREETED_NEED, phrases.STILL_THERE, phrases.WHAT_COMES_NEXT,
        phrases.ANYTHING_ELSE, phrases.SAY_AGAIN, phrases.TAKE_YOUR_TIME, phrases.GOODBYE, phrases.NO_HUMAN, phrases.OFF_TOPIC,
        phrases.WHERE_TO_FIND, phrases.NO_NUMBER, *phrases.AFTER_MISS, *phrases.AFTER_FAILURE, NOT_CERTAIN, NO_NUMBER_YET,
    )
    for clause in cut(line)
)  # fmt: skip


class ClauseVerdict(msgspec.Struct, frozen=True):
    """Whether a clause may be said.

    Attributes:
        reason: "" when allowed; else a short fixed text without any word of the clause.
        claims: the clause's claims, in order; empty where it is the builder's own clause.
        subject: number of the parcel at its end, for the next clause; None for the one requested last.
    """

    allowed: bool
    reason: str = ""
    claims: tuple[ClauseClaim, ...] = ()
    subject: str | None = None


def judge(clause: str, facts: Facts, subject: str | None = None) -> ClauseVerdict:
    """Decide whether a clause may be said.

    Args:
        clause: a complete clause, as it was written.
        facts: of the call so far.
        subject: the number of the parcel that "it" means; None for the one requested last.
    """
    said = normal(clause)
    parcel = _of(facts, subject)
    if not said or said in _OWN or (parcel is not None and said in parcel.clauses):
        return ClauseVerdict(True, subject=subject)
    tokens = fold(words(clause), facts.names)
    carrier = normal(parcel.carrier) if parcel is not None else ""
    question = facts.question
    free = partial(
        is_free,
        carrier=carrier,
        is_asked=asks_whether(question),
        is_unknowable=is_unknowable(want_of(question), parcel),
        question=question,
    )
    is_true = not presumes(clause, facts, parcel)
    if is_true and free(tokens):
        return ClauseVerdict(True, subject=subject)
    verdict = _checked(claims_of(tokens), facts, parcel, subject)
    if verdict.allowed or not is_true or (rest := bearing(tokens, free)) is None:
        return verdict
    if all(token.text in ",.?" for token in rest):
        return ClauseVerdict(True, subject=subject)
    without = _checked(claims_of(rest), facts, parcel, subject)
    return without if without.allowed else verdict


def _checked(found: Sequence[ClauseClaim], facts: Facts, parcel: Parcel | None, subject: str | None) -> ClauseVerdict:
    """The verdict on claims, each of which needs a result that supports it."""
    found = tuple(found)
    court = ClauseChecker(facts, parcel, found)
    try:
        court.check()
    except ClaimRefused as refused:
        return ClauseVerdict(False, str(refused), found, subject)
    last = court.subjects[-1] if court.subjects else parcel
    is_default = last is None or last is facts.latest
    return ClauseVerdict(True, "", found, None if is_default or last is None else last.tracking_id)


def _of(facts: Facts, subject: str | None) -> Parcel | None:
    for parcel in facts.parcels:
        if subject is not None and parcel.tracking_id == subject:
            return parcel
    return facts.latest
