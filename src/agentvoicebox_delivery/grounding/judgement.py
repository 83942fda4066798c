"""Decides whether a clause may be said, given the tool results. One clause at a time.

The rule: a clause passes only when every word of it belongs to a known phrase and every claim in it is supported by a result
of this call, about the same parcel. `clauses` cuts a stream into clauses, `grounder` replaces refused
ones, and `answers` defines the meaning of a "yes".
"""

import re
from collections.abc import Sequence

import msgspec

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.grounding.answers import answer_to, asks_whether, is_answer_like
from agentvoicebox_delivery.grounding.claims import HARMLESS, ClaimKind, ClauseClaim, claims
from agentvoicebox_delivery.grounding.clauses import cut, normal
from agentvoicebox_delivery.grounding.facts import Facts, Parcel
from agentvoicebox_delivery.grounding.statements import AWAITED, COMPLETED, STATES
from agentvoicebox_delivery.grounding.words import spoken_age
from agentvoicebox_delivery.parcels import reply, track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus

NOT_CERTAIN = "I can't say that for certain."
NO_NUMBER_YET = f"I can't say anything about a parcel without its number. {phrases.ASK}"

# Statements that a day or a place can belong to.
_HEADS = frozenset({ClaimKind.STATE, ClaimKind.ARRIVAL, ClaimKind.SIGHTING})
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


class _Refused(Exception):
    """A claim is not supported. The message is the reason."""


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
    found = tuple(claims(clause, facts.names))
    court = _ClauseChecker(facts, parcel, found)
    try:
        court.check()
    except _Refused as refused:
        return ClauseVerdict(False, str(refused), found, subject)
    last = court.subjects[-1] if court.subjects else parcel
    is_default = last is None or last is facts.latest
    return ClauseVerdict(True, "", found, None if is_default or last is None else last.tracking_id)


def _of(facts: Facts, subject: str | None) -> Parcel | None:
    for parcel in facts.parcels:
        if subject is not None and parcel.tracking_id == subject:
            return parcel
    return facts.latest


class _ClauseChecker:
    """Checks the claims of one clause in order. `subjects` holds the parcel of each claim."""

    def __init__(self, facts: Facts, parcel: Parcel | None, found: Sequence[ClauseClaim]) -> None:
        self.facts = facts
        self.claims = found
        self.subjects: list[Parcel | None] = []
        self._parcel = parcel
        self._bound: dict[int, list[ClauseClaim]] = {}

    def check(self) -> None:
        """Raises _Refused for the first claim that is not supported."""
        for claim in self.claims:
            self._turn_to(claim)
            self.subjects.append(self._parcel)
        self._bind()
        self._check_unused_names()
        for index, claim in enumerate(self.claims):
            if claim.kind is not ClaimKind.PLACE and not self._is_by_its_carrier(claim, self.subjects[index]):
                raise _Refused("another carrier")
            if claim.kind not in HARMLESS:
                self._check_claim(index, claim, self.subjects[index])

    def _turn_to(self, claim: ClauseClaim) -> None:
        """Update the parcel that the clause is about from here on."""
        parcels = self.facts.parcels
        is_later = any(each.kind in _HEADS for each in self.claims[: len(self.subjects)])
        before = self._parcel
        match claim.kind:
            case ClaimKind.NUMBER:
                for characters in claim.numbers:
                    named = self.facts.named(characters)
                    if named is None and not self.facts.may_read_back(characters):
                        raise _Refused("a number that was not mentioned")
                    self._parcel = named
            case ClaimKind.OTHER_PARCEL | ClaimKind.FIRST_PARCEL if len(parcels) == 2:
                self._parcel = parcels[0]
            case ClaimKind.SECOND_PARCEL if len(parcels) == 2:
                self._parcel = parcels[1]
            case ClaimKind.OTHER_PARCEL | ClaimKind.FIRST_PARCEL | ClaimKind.SECOND_PARCEL:
                raise _Refused("the parcel is ambiguous")
        if is_later and self._parcel is not before and not self._is_new_statement():
            raise _Refused("one parcel's state with another's number")

    def _is_new_statement(self) -> bool:
        heads = [index for index, each in enumerate(self.claims[: len(self.subjects)]) if each.kind in _HEADS]
        between = self.claims[heads[-1] + 1 : len(self.subjects)]
        return any(each.kind is ClaimKind.LINK and each.text in ("and", "but", ",", ".", "?") for each in between)

    @staticmethod
    def _is_by_its_carrier(claim: ClauseClaim, parcel: Parcel | None) -> bool:
        return all(parcel is not None and name == normal(parcel.carrier) for name in claim.names)

    def _check_unused_names(self) -> None:
        """After a yes-or-no question, "I'm afraid so" or "great news!" is an answer too."""
        if asks_whether(self.facts.question) and is_answer_like(self.claims):
            raise _Refused("an unsupported answer")

    def _bind(self) -> None:
        """Assign days and places to the statement before them, or else to the one after."""
        heads = [index for index, each in enumerate(self.claims) if each.kind in _HEADS]
        for index, claim in enumerate(self.claims):
            if claim.kind in (ClaimKind.DAY, ClaimKind.PLACE):
                before = [head for head in heads if head < index]
                is_loose = claim.text == "PLACE" and (
                    index == 0 or self.claims[index - 1].kind is not ClaimKind.SIGHTING
                )
                if not heads or is_loose:
                    raise _Refused(f"a {claim.kind.value} by itself")
                self._bound.setdefault(before[-1] if before else heads[0], []).append(claim)

    def _check_claim(self, index: int, claim: ClauseClaim, parcel: Parcel | None) -> None:
        code = parcel.result.code if parcel else ""
        shipment = parcel.shipment if parcel else None
        match claim.kind:
            case (
                ClaimKind.NUMBER
                | ClaimKind.OTHER_PARCEL
                | ClaimKind.FIRST_PARCEL
                | ClaimKind.SECOND_PARCEL
                | ClaimKind.DAY
                | ClaimKind.PLACE
            ):
                pass  # checked with the statement they belong to
            case ClaimKind.NOT_FOUND:
                self._need(code == track.NOT_FOUND, "nothing was missed")
            case ClaimKind.OUTAGE:
                self._need(code in (track.UNAVAILABLE, track.ERROR, track.UNKNOWN_TOOL), "nothing failed")
            case ClaimKind.INVALID:
                self._need(
                    code in ("", track.INVALID_ID, track.INVALID_ARGUMENTS, track.NOT_FOUND), "the number is fine"
                )
            case ClaimKind.YES | ClaimKind.NO | ClaimKind.OF_COURSE:
                self._check_answer(claim)
            case _ if parcel is None or shipment is None:
                raise _Refused("no tool returned anything about it")
            case ClaimKind.FOUND:
                is_whole = re.match(
                    r"(?:i|we) (?:have )?(?:just )?(?:found|located|checked|looked)|here is", claim.text
                )
                is_followed = any(each.kind in _HEADS for each in self.claims)
                self._need(is_followed or is_whole is not None, "an unsupported answer")
            case ClaimKind.STATE:
                if (
                    claim.is_denied
                    and index + 1 < len(self.claims)
                    and self.claims[index + 1].kind is ClaimKind.CARRIER
                ):
                    raise _Refused("a denial with a carrier")
                self._check_state(claim, parcel, shipment.status, self._bound.get(index, []))
            case ClaimKind.ARRIVAL:
                self._check_arrival(shipment, self._bound.get(index, []), is_denied=claim.is_denied)
            case ClaimKind.SIGHTING:
                bound_claims = self._bound.get(index, [])
                self._need(bool(bound_claims) and not claim.is_denied, "a sighting without place or day")
                self._check_event(parcel, bound_claims)
            case ClaimKind.CARRIER:
                pass  # the name was compared already
            case ClaimKind.AGE:
                self._need(claim.age is not None and _is_age(claim.age, parcel.age_s), "another age")
            case ClaimKind.NOTHING_NEWER:
                self._need(parcel.age_s >= reply.STALE_AFTER_S, "the result is fresh")
            case ClaimKind.UNKNOWN_DAY:
                self._need(shipment.eta is None and shipment.status in AWAITED, "the day is known")
            case ClaimKind.UNKNOWN_PLACE:
                self._need(not parcel.place, "the place is known")
            case ClaimKind.UNKNOWN_CARRIER:
                self._need(not parcel.carrier, "the carrier is known")
            case _:
                raise _Refused(f"unsupported: {claim.kind.value}")

    def _need(self, is_true: bool, reason: str) -> None:
        if not is_true:
            raise _Refused(reason)

    def _check_state(
        self, claim: ClauseClaim, parcel: Parcel, status: ShipmentStatus, bound: Sequence[ClauseClaim]
    ) -> None:
        _, is_true_in, is_false_in = STATES[claim.state]
        if claim.is_denied and claim.state != "not with the carrier":
            self._need(status in is_false_in, "an unsupported denial")
            self._need(not bound, "a denial with a day or place")
            self._need(not claim.names or claim.state == "picked up", "a denial with a carrier")
            return
        self._need(status in is_true_in, "another state")
        is_past = claim.text.startswith(("was ", "were ", "had "))
        is_reported_as_past = claim.state in COMPLETED or any(each.kind is ClaimKind.AGE for each in self.claims)
        self._need(is_reported_as_past or not is_past, "a state described as past")
        if not bound:
            return
        event = parcel.shipment.last_event if parcel.shipment else None
        is_arriving_now = status is ShipmentStatus.OUT_FOR_DELIVERY and all(
            each.day is not None and each.day.can_only_be(self.facts.today, self.facts.today) for each in bound
        )
        if is_arriving_now and parcel.shipment and parcel.shipment.eta == self.facts.today:
            return
        # A parcel is in transit for days and in many places; and an ambiguous state says nothing about the time.
        is_event = event is not None and event.status is status and len(is_true_in) == 1
        self._need(is_event and status is not ShipmentStatus.IN_TRANSIT, "no day or place of this state")
        self._check_event(parcel, bound)

    def _check_arrival(self, shipment: Shipment, bound: Sequence[ClauseClaim], *, is_denied: bool) -> None:
        self._need(bool(bound) and not is_denied, "a promise without a day")
        self._need(bool(reply.arrival(shipment)), "no day of arrival is known")
        for claim in bound:
            is_that_day = claim.day and shipment.eta and claim.day.can_only_be(shipment.eta, self.facts.today)
            self._need(bool(is_that_day), "another day of arrival")

    def _check_event(self, parcel: Parcel, bound: Sequence[ClauseClaim]) -> None:
        for claim in bound:
            if claim.kind is ClaimKind.PLACE:
                self._need(
                    bool(parcel.place) and all(name == normal(parcel.place) for name in claim.names), "another place"
                )
            else:
                day = parcel.event_day
                self._need(
                    claim.day is not None and day is not None and claim.day.can_only_be(day, self.facts.today),
                    "another day",
                )

    def _check_answer(self, claim: ClauseClaim) -> None:
        """A "yes" confirms what the caller asked; a bare one to an offer or a read-back states nothing."""
        line = self.facts.question
        if not asks_whether(line):
            return
        if claim.kind is ClaimKind.OF_COURSE and any(each.kind is ClaimKind.REQUEST for each in self.claims):
            return
        held = answer_to(line, self.facts, self._parcel)
        wanted = claim.kind is not ClaimKind.NO
        self._need(held is not None and held is wanted, "an unsupported answer")


def _is_age(age: tuple[int, int], age_s: float) -> bool:
    """Whether an age is worded as the builder would word it."""
    count, unit_s = age
    return age_s >= reply.STALE_AFTER_S and spoken_age(age_s) == spoken_age(max(count * unit_s, 1))
