"""Checks the claims of one clause against the results of a call. `judgement` calls it."""

import re
from collections.abc import Sequence
from datetime import date

from agentvoicebox_delivery.grounding.answers import answer_to, asks_whether, is_answer_like, is_denial
from agentvoicebox_delivery.grounding.claims import HARMLESS, ClaimKind, ClauseClaim
from agentvoicebox_delivery.grounding.clause_form import (
    BESIDE_A_BARE_ANSWER,
    HEADS,
    NAMED_AGAIN,
    SAYS,
    WHEN,
    can_hold,
    check_just_now,
    check_named_again,
    check_words,
)
from agentvoicebox_delivery.grounding.clauses import normal
from agentvoicebox_delivery.grounding.facts import Facts, Parcel
from agentvoicebox_delivery.grounding.refusal import ClaimRefused, need
from agentvoicebox_delivery.grounding.shipment_checks import check_arrival, check_event, check_overdue, check_state
from agentvoicebox_delivery.grounding.statements import AWAITED
from agentvoicebox_delivery.grounding.words import spoken_age
from agentvoicebox_delivery.parcels import reply, track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus

PROMISED = "a promise"  # the reason of a clause that is true if a tool call follows

_PAST_WHEN = re.compile(r"\b(?:when|what day|which day|what time) (?:was|did|were)\b")
_WHERE = re.compile(r"\bwhere\b")
_STILL = re.compile(r"\b(?:still|now|right now|yet|at(?! least)|before|after|by the|until)\b")
_HAVE_LOOKED = re.compile(r"(?:i|we) (?:have )?(?:just )?(?:checked|looked|searched|had a look|taken a look)\b")
_HAVE_FOUND = re.compile(
    r"(?:i|we) (?:have )?(?:just )?(?:found|located|checked|looked)|here (?:is|are)"
    r"|(?:so )?here (?:is|are)"
)
_ASSENT = re.compile(r"(?:yes|right|you are right|correct|exactly|that is (?:right|correct))\b")
_CANT_LOOK_UP = re.compile(r"(?:can not|not able to|unable to|could not) look up")
_WITHOUT = re.compile(r"without")
_CODES_OF_MISSES = (track.NOT_FOUND, track.UNAVAILABLE, track.ERROR, track.INVALID_ID, track.INVALID_ARGUMENTS)
_FAILED = (track.UNAVAILABLE, track.ERROR, track.UNKNOWN_TOOL)
_ON_TRACK = re.compile(r"\bon (?:track|course|schedule|time)\b")
_LOOK_OUT = re.compile(r"(?:so )?keep an (?:eye|ear) out\b")
_ON_TRACK_IN = frozenset({ShipmentStatus.PICKED_UP, ShipmentStatus.IN_TRANSIT, ShipmentStatus.OUT_FOR_DELIVERY})
_BARE_YES = re.compile(r"it (?:is|has|will|does|should|was|did|sure|would)\b|you got it\b")
_SAYS_IT = re.compile(
    r"\b(?:tracking|system|estimate|information|CARRIER|they|it)\b.*\b(?:say|show|giv)(?:s|es|ing)\b|\bit is looking like\b"
)
_LATE = re.compile(r"\b(?:late|behind)\b")
_NEW_DAY = re.compile(r"\b(?:new|newer|updated|revised)\b")
_IT_SEEMS = re.compile(r"\b(?:looks?|seems?|appears?|sounds?|says?|according|from what|as far|shows?)\b")


class ClauseChecker:
    """Checks the claims of one clause in order. `subjects` holds the parcel of each claim."""

    def __init__(self, facts: Facts, parcel: Parcel | None, found: Sequence[ClauseClaim]) -> None:
        self.facts = facts
        self.claims = found
        self.subjects: list[Parcel | None] = []
        self._parcel = parcel
        self._bound: dict[int, list[ClauseClaim]] = {}

    def check(self) -> None:
        """Raises ClaimRefused for the first claim that is not supported."""
        for claim in self.claims:
            self._turn_to(claim)
            self.subjects.append(self._parcel)
        check_words(self.claims, self.facts)
        check_named_again(self.claims, self.facts)
        check_just_now(self.claims, self.subjects)
        self._bind()
        self._check_unused_names()
        for index, claim in enumerate(self.claims):
            if claim.kind is ClaimKind.LIMIT and _CANT_LOOK_UP.search(claim.text):
                subject = self.subjects[index]
                failed = subject.result.code if subject else ""
                need(failed in _FAILED or _WITHOUT.search(claim.text) is not None, "nothing failed")
            if claim.kind is not ClaimKind.PLACE and not self._is_by_its_carrier(claim, self.subjects[index]):
                raise ClaimRefused("another carrier")
            if claim.kind not in HARMLESS:
                self._check_claim(index, claim, self.subjects[index])

    def _turn_to(self, claim: ClauseClaim) -> None:
        """Update the parcel that the clause is about from here on."""
        parcels = self.facts.parcels
        is_later = any(each.kind in HEADS for each in self.claims[: len(self.subjects)])
        before = self._parcel
        match claim.kind:
            case ClaimKind.NUMBER:
                for characters in claim.numbers:
                    named = self.facts.named(characters)
                    if named is None and not self.facts.may_read_back(characters):
                        raise ClaimRefused("a number that was not mentioned")
                    self._parcel = named
            case ClaimKind.NOT_FOUND:  # "I couldn't find a parcel with the number …": the number follows its statement
                after = self.claims[len(self.subjects) + 1 : len(self.subjects) + 2]
                named = self.facts.named(after[0].numbers[-1]) if after and after[0].numbers else None
                self._parcel = named or self._parcel
            case ClaimKind.OTHER_PARCEL | ClaimKind.FIRST_PARCEL if len(parcels) == 2:
                self._parcel = parcels[0]
            case ClaimKind.SECOND_PARCEL if len(parcels) == 2:
                self._parcel = parcels[1]
            case ClaimKind.OTHER_PARCEL | ClaimKind.FIRST_PARCEL | ClaimKind.SECOND_PARCEL:
                raise ClaimRefused("the parcel is ambiguous")
        if is_later and self._parcel is not before and not self._is_new_statement():
            raise ClaimRefused("one parcel's state with another's number")

    def _is_new_statement(self) -> bool:
        heads = [index for index, each in enumerate(self.claims[: len(self.subjects)]) if each.kind in HEADS]
        between = self.claims[heads[-1] + 1 : len(self.subjects)]
        return any(each.kind is ClaimKind.LINK and each.text in ("and", "but", ",", ".", "?") for each in between)

    @staticmethod
    def _is_by_its_carrier(claim: ClauseClaim, parcel: Parcel | None) -> bool:
        return all(parcel is not None and name == normal(parcel.carrier) for name in claim.names)

    def _check_unused_names(self) -> None:
        """After a yes-or-no question, "I'm afraid so" or "great news!" is an answer too."""
        if asks_whether(self.facts.question) and is_answer_like(self.claims):
            raise ClaimRefused("an unsupported answer")

    def _bind(self) -> None:
        """Assign days and places to the statement before them, or else to the one after; or to what the caller asked for."""
        heads = [index for index, each in enumerate(self.claims) if each.kind in HEADS]
        for index, claim in enumerate(self.claims):
            if claim.kind not in (ClaimKind.DAY, ClaimKind.PLACE):
                continue
            before = [head for head in heads if head < index]
            near = before[-1] if before else heads[0] if heads else None
            wanted = ClaimKind.ARRIVAL if claim.kind is ClaimKind.DAY else ClaimKind.SIGHTING
            if near is None:
                self._check_alone(index, claim)
                continue
            if not can_hold(self.claims[near], claim):
                others = [head for head in heads if self.claims[head].kind in (wanted, ClaimKind.SIGHTING)]
                near = min(others, key=lambda head: abs(head - index), default=near)
            self._bound.setdefault(near, []).append(claim)

    def _check_alone(self, index: int, claim: ClauseClaim) -> None:
        """A day or a place by itself is the answer to "when" or "where"."""
        parcel = self.subjects[index]
        shipment = parcel.shipment if parcel else None
        asked = self.facts.question.lower()
        words = " ".join(each.text for each in self.claims if each.kind is not ClaimKind.FOUND)
        is_still = _STILL.search(words) is not None and not _is_sourced(self.claims)
        is_bare = all(each.kind in BESIDE_A_BARE_ANSWER for each in self.claims) and not is_still
        if parcel is None or shipment is None or not is_bare:
            raise ClaimRefused(f"a {claim.kind.value} by itself")
        if claim.kind is ClaimKind.PLACE:
            is_there = any(each.text in ("is", "are") for each in self.claims)
            need(not is_there, "a place by itself")
            need(_WHERE.search(asked) is not None, "a place by itself")
            check_event(parcel, [claim], self.facts.today)
        elif _PAST_WHEN.search(asked):
            need(shipment.status is ShipmentStatus.DELIVERED, "a day by itself")
            check_event(parcel, [claim], self.facts.today)
        elif _is_sourced(self.claims) and not self._may_be_the_event(claim, parcel, asked):
            check_arrival(shipment, [claim], self.facts.today, is_denied=False)
        elif _WHERE.search(asked) and any(each.kind is ClaimKind.PLACE for each in self.claims):
            check_event(parcel, [claim], self.facts.today)
        else:
            need(WHEN.search(asked) is not None, "a day by itself")
            check_arrival(shipment, [claim], self.facts.today, is_denied=False)

    def _may_be_the_event(self, claim: ClauseClaim, parcel: Parcel, asked: str) -> bool:
        """Whether a day may be heard as that of the last event, since the caller asks for it."""
        day = parcel.event_day
        is_that_day = day is not None and claim.day is not None and claim.day.can_only_be(day, self.facts.today)
        return _WHERE.search(asked) is not None and is_that_day

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
            case ClaimKind.ANNOUNCEMENT:
                raise ClaimRefused(PROMISED)
            case ClaimKind.SEVERAL:
                need(code == track.AMBIGUOUS, "there are not several")
            case ClaimKind.NOT_FOUND:
                named = [
                    each
                    for each, other in zip(self.subjects, self.claims, strict=True)
                    if other.kind is ClaimKind.NUMBER or other.kind in NAMED_AGAIN
                ]
                need(code == track.NOT_FOUND, "nothing was missed")
                need(all(each is None or each.result.code == track.NOT_FOUND for each in named), "nothing was missed")
            case ClaimKind.OUTAGE:
                need(code in _FAILED, "nothing failed")
            case ClaimKind.INVALID:
                need(code in ("", track.INVALID_ID, track.INVALID_ARGUMENTS, track.NOT_FOUND), "the number is fine")
            case ClaimKind.YES | ClaimKind.NO | ClaimKind.OF_COURSE:
                self._check_answer(claim)
            case ClaimKind.FOUND if code == track.NOT_FOUND and _HAVE_LOOKED.match(claim.text):
                pass  # the look-up found nothing
            case ClaimKind.FOUND if parcel is None or shipment is None:
                need(
                    any(each.kind in SAYS for each in self.claims) and code in _CODES_OF_MISSES,
                    "no tool returned anything about it",
                )
            case _ if parcel is None or shipment is None:
                raise ClaimRefused("no tool returned anything about it")
            case ClaimKind.FOUND:
                is_followed = any(each.kind in SAYS for each in self.claims)
                need(is_followed or not claim.names, "a source without a statement")
                is_answered = any(
                    each.kind in (ClaimKind.YES, ClaimKind.NO, ClaimKind.DAY, ClaimKind.PLACE) for each in self.claims
                )
                is_look = _IT_SEEMS.search(claim.text) is None or _HAVE_LOOKED.match(claim.text) is not None
                need(is_followed or is_answered or is_look, "a source without a statement")
                need(
                    is_followed
                    or is_answered
                    or not asks_whether(self.facts.question)
                    or _HAVE_FOUND.match(claim.text) is not None,
                    "an unsupported answer",
                )
            case ClaimKind.STATE if _LATE.search(claim.text) and _is_overdue(shipment, self.facts.today):
                need(not claim.is_denied and not self._bound.get(index), "another state")
            case ClaimKind.STATE:
                if (
                    claim.is_denied
                    and index + 1 < len(self.claims)
                    and self.claims[index + 1].kind is ClaimKind.CARRIER
                ):
                    raise ClaimRefused("a denial with a carrier")
                if claim.state == "cancelled" and any(each.kind is ClaimKind.CARRIER for each in self.claims):
                    raise ClaimRefused("cancelled by another")
                check_state(
                    claim,
                    parcel,
                    shipment.status,
                    self._bound.get(index, []),
                    self.facts.today,
                    has_age=any(each.kind is ClaimKind.AGE for each in self.claims),
                )
            case ClaimKind.ARRIVAL if _LOOK_OUT.match(claim.text) and index not in self._bound:
                need(shipment.status in _ON_TRACK_IN, "nothing to look out for")
            case ClaimKind.ARRIVAL:
                need(_ON_TRACK.search(claim.text) is None or shipment.status in _ON_TRACK_IN, "not on track")
                has_day = any(self.claims[head].kind is ClaimKind.ARRIVAL for head in self._bound) or any(
                    each.kind in (ClaimKind.YES, ClaimKind.OF_COURSE) for each in self.claims
                )
                bound_claims = self._bound.get(index, [])
                check_arrival(shipment, bound_claims, self.facts.today, is_denied=claim.is_denied, has_day=has_day)
            case ClaimKind.OVERDUE:
                check_overdue(shipment, self._bound.get(index, []), self.facts.today)
            case ClaimKind.NOT_RECORDED:
                is_past = shipment.eta is None or shipment.eta < self.facts.today
                need(shipment.status in AWAITED and is_past, "it was delivered, or isn't late")
            case ClaimKind.NOT_DAY:
                is_that_day = claim.day and shipment.eta and claim.day.can_only_be(shipment.eta, self.facts.today)
                need(shipment.eta is not None and claim.day is not None and not is_that_day, "that day it is")
            case ClaimKind.SIGHTING:
                bound_claims = self._bound.get(index, [])
                has_day = any(self.claims[head].kind is ClaimKind.SIGHTING for head in self._bound)
                need(has_day and not claim.is_denied, "a sighting without place or day")
                check_event(parcel, bound_claims, self.facts.today)
            case ClaimKind.CARRIER:
                pass  # the name was compared already
            case ClaimKind.AGE:
                need(claim.age is not None and _is_age(claim.age, parcel.age_s), "another age")
            case ClaimKind.NOTHING_NEWER:
                need(parcel.age_s >= reply.STALE_AFTER_S, "the result is fresh")
            case ClaimKind.UNKNOWN_DAY:
                is_new_one = _NEW_DAY.search(claim.text) is not None and _is_overdue(shipment, self.facts.today)
                need((shipment.eta is None or is_new_one) and shipment.status in AWAITED, "the day is known")
            case ClaimKind.UNKNOWN_PLACE:
                need(not parcel.place, "the place is known")
            case ClaimKind.UNKNOWN_CARRIER:
                need(not parcel.carrier, "the carrier is known")
            case _:
                raise ClaimRefused(f"unsupported: {claim.kind.value}")

    def _check_answer(self, claim: ClauseClaim) -> None:
        """A "yes" confirms what the caller asked; a bare one to an offer or a read-back states nothing."""
        line = self.facts.question
        if claim.kind is ClaimKind.OF_COURSE:
            openers = HARMLESS | {ClaimKind.YES, ClaimKind.OF_COURSE}
            before = self.claims[: self.claims.index(claim)]
            need(all(each.kind in openers and each.kind is not ClaimKind.NEUTRAL for each in before), "a certainty")
        if not asks_whether(line):
            # Without a question "no, it is not" takes back what was said before it.
            at = self.claims.index(claim)
            is_first = all(each.kind in HARMLESS for each in self.claims[:at])
            is_followed = any(each.kind in HEADS for each in self.claims[at:])
            need(claim.kind is not ClaimKind.NO or (is_first and is_followed), "a denial of what was said")
            is_bare = claim.kind is ClaimKind.YES and _BARE_YES.match(claim.text) is not None
            need(not is_bare, "an answer to no question")
            return
        held = answer_to(line, self.facts, self._parcel)
        wanted = claim.kind is not ClaimKind.NO
        if is_denial(line):
            is_assent = claim.kind is ClaimKind.NO or _ASSENT.match(claim.text) is not None
            need(held is False and is_assent, "an unsupported answer")
            return
        need(held is not None and held is wanted, "an unsupported answer")


def _is_overdue(shipment: Shipment, today: date) -> bool:
    return shipment.eta is not None and shipment.eta < today and shipment.status in AWAITED


def _is_sourced(found: Sequence[ClauseClaim]) -> bool:
    """Whether a day is what a source says ("the tracking says Monday"): the day of arrival, of a parcel that is awaited."""
    return any(each.kind is ClaimKind.FOUND and _SAYS_IT.search(each.text) for each in found)


def _is_age(age: tuple[int, int], age_s: float) -> bool:
    """Whether an age is worded as the builder would word it."""
    count, unit_s = age
    return age_s >= reply.STALE_AFTER_S and spoken_age(age_s) == spoken_age(max(count * unit_s, 1))
