"""May this be said, given what the tools returned? Clause by clause, while a language model is still writing.

The law: a clause passes only when every word of it belongs to a known phrase and every claim in it is borne out by a result
of this call, about the parcel that it speaks of. The first clause that isn't is replaced by the reply builder's own words,
later ones are left out. English.
"""

import re
from collections.abc import Sequence

import msgspec

from agentvoicebox.delivery import phrases, reply, track
from agentvoicebox.delivery.claims import Claim, Kind, claims
from agentvoicebox.delivery.clauses import Clauses, cut, normal
from agentvoicebox.delivery.facts import Facts, Parcel
from agentvoicebox.delivery.shipment import ShipmentStatus
from agentvoicebox.delivery.statements import STATES
from agentvoicebox.delivery.words import spoken_age

NOT_CERTAIN = "I can't say that for certain."
NO_NUMBER_YET = f"I can't say anything about a parcel without its number. {phrases.ASK}"

_HARMLESS = frozenset({Kind.LINK, Kind.COURTESY, Kind.REQUEST, Kind.LIMIT})
_HEADS = frozenset({Kind.STATE, Kind.ARRIVAL, Kind.SIGHTING, Kind.YES, Kind.NO})
# The dialogue's own lines that tell nothing about a parcel.
_OWN = frozenset(
    normal(clause)
    for line in (
        phrases.GREETING, phrases.ASK, phrases.GREETED, phrases.GREETED_NEED, phrases.STILL_THERE, phrases.WHAT_COMES_NEXT,
        phrases.ANYTHING_ELSE, phrases.SAY_AGAIN, phrases.TAKE_YOUR_TIME, phrases.GOODBYE, phrases.NO_HUMAN, phrases.OFF_TOPIC,
        phrases.WHERE_TO_FIND, phrases.NO_NUMBER, *phrases.AFTER_MISS, *phrases.AFTER_FAILURE, NOT_CERTAIN, NO_NUMBER_YET,
    )
    for clause in cut(line)
)  # fmt: skip

# A caller's line that asks whether something about a parcel is so.
_ASKS = re.compile(
    r"(?<!where )(?<!when )(?<!what )(?<!which )(?<!who )(?<!how )(?<!why )"
    r"\b(?:is|was|has|have|had|did|does|do|will|would|should|could|can|may|might|are|am|were)(?:n't| not)? "
    r"(?:it|they|my|the|this|that|there|i|we|he|she|someone|somebody|anyone|you (?!help|look|check|track|find|tell|say|repeat|hear|see|please))"
    r"|\b(?:right|correct|true)\s*\?|\b(?:it's|it is|it will|it'll|they'll) "
)


class Verdict(msgspec.Struct, frozen=True):
    """May a clause be said?

    Attributes:
        reason: "" when allowed; else a short fixed text without any word of the clause.
        claims: what it claims, in order; empty where it was taken whole from the builder.
        subject: number of the parcel that it ends on, for the clause that follows; None for the one asked last.
    """

    allowed: bool
    reason: str = ""
    claims: tuple[Claim, ...] = ()
    subject: str | None = None


class _Refused(Exception):
    """A claim isn't borne out. The message is the reason."""


def judge(clause: str, facts: Facts, subject: str | None = None) -> Verdict:
    """Whether a clause may be said.

    Args:
        clause: as it was written, a whole one.
        subject: which parcel "it" is, by its number; None for the one asked last.
    """
    said = normal(clause)
    parcel = _of(facts, subject)
    if not said or said in _OWN or (parcel is not None and said in parcel.clauses):
        return Verdict(True, subject=subject)
    found = tuple(claims(clause, facts.names))
    court = _Court(facts, parcel, found)
    try:
        court.hear()
    except _Refused as refused:
        return Verdict(False, str(refused), found, subject)
    last = court.subjects[-1] if court.subjects else parcel
    is_default = last is None or last is facts.latest
    return Verdict(True, "", found, None if is_default or last is None else last.tracking_id)


def _of(facts: Facts, subject: str | None) -> Parcel | None:
    for parcel in facts.parcels:
        if subject is not None and parcel.tracking_id == subject:
            return parcel
    return facts.latest


class _Court:
    """One clause, its claims in order. `subjects` holds the parcel that each claim is about."""

    def __init__(self, facts: Facts, parcel: Parcel | None, found: Sequence[Claim]) -> None:
        self.facts = facts
        self.claims = found
        self.subjects: list[Parcel | None] = []
        self._parcel = parcel
        self._bound: dict[int, list[Claim]] = {}

    def hear(self) -> None:
        """Raises _Refused for the first claim that isn't borne out."""
        for claim in self.claims:
            self._turn_to(claim)
            self.subjects.append(self._parcel)
        self._bind()
        for index, claim in enumerate(self.claims):
            if claim.kind not in _HARMLESS:
                self._hear(index, claim, self.subjects[index])

    def _turn_to(self, claim: Claim) -> None:
        """Which parcel is spoken of from here on."""
        parcels = self.facts.parcels
        is_later = any(each.kind in _HEADS for each in self.claims[: len(self.subjects)])
        before = self._parcel
        match claim.kind:
            case Kind.NUMBER:
                for characters in claim.numbers:
                    named = self.facts.named(characters)
                    if named is None and not self.facts.may_read_back(characters):
                        raise _Refused("a number that nobody gave")
                    self._parcel = named
            case Kind.OTHER_PARCEL | Kind.FIRST_PARCEL if len(parcels) == 2:
                self._parcel = parcels[0]
            case Kind.SECOND_PARCEL if len(parcels) == 2:
                self._parcel = parcels[1]
            case Kind.OTHER_PARCEL | Kind.FIRST_PARCEL | Kind.SECOND_PARCEL:
                raise _Refused("nobody knows which parcel")
        if is_later and self._parcel is not before and not self._is_new_statement():
            raise _Refused("one parcel's state with another's number")

    def _is_new_statement(self) -> bool:
        heads = [index for index, each in enumerate(self.claims[: len(self.subjects)]) if each.kind in _HEADS]
        between = self.claims[heads[-1] + 1 : len(self.subjects)]
        return any(each.kind is Kind.LINK and each.text in ("and", "but", ",", ".", "?") for each in between)

    def _bind(self) -> None:
        """Days and places belong to the statement before them, or else to the one after."""
        heads = [index for index, each in enumerate(self.claims) if each.kind in (Kind.STATE, Kind.ARRIVAL, Kind.SIGHTING)]
        for index, claim in enumerate(self.claims):
            if claim.kind in (Kind.DAY, Kind.PLACE):
                before = [head for head in heads if head < index]
                if not heads:
                    raise _Refused(f"a {claim.kind.value} by itself")
                self._bound.setdefault(before[-1] if before else heads[0], []).append(claim)

    def _hear(self, index: int, claim: Claim, parcel: Parcel | None) -> None:
        facts = self.facts
        code = parcel.result.code if parcel else ""
        shipment = parcel.shipment if parcel else None
        match claim.kind:
            case Kind.NUMBER | Kind.OTHER_PARCEL | Kind.FIRST_PARCEL | Kind.SECOND_PARCEL | Kind.DAY | Kind.PLACE:
                pass  # heard with the statement they belong to
            case Kind.NOT_FOUND:
                self._need(code == track.NOT_FOUND and " not " in f" {claim.text} " or code == track.NOT_FOUND and "no" in claim.text,
                           "nothing was missed")
            case Kind.OUTAGE:
                self._need(code in (track.UNAVAILABLE, track.ERROR, track.UNKNOWN_TOOL), "nothing failed")
            case Kind.INVALID:
                self._need(code in ("", track.INVALID_ID, track.INVALID_ARGUMENTS, track.NOT_FOUND), "the number is fine")
            case Kind.YES | Kind.NO | Kind.OF_COURSE:
                self._hear_answer(claim)
            case _ if parcel is None or shipment is None:
                raise _Refused("no tool returned anything about it")
            case Kind.FOUND:
                pass
            case Kind.STATE:
                self._hear_state(claim, parcel, shipment.status, self._bound.get(index, []))
            case Kind.ARRIVAL:
                days = self._bound.get(index, [])
                self._need(bool(days) and not claim.is_denied, "a promise without a day")
                self._need(bool(reply.arrival(shipment)), "no day of arrival is known")
                for bound in days:
                    self._need(bound.day is not None and shipment.eta is not None
                               and bound.day.can_only_be(shipment.eta, facts.today), "another day of arrival")
            case Kind.SIGHTING:
                bound_claims = self._bound.get(index, [])
                self._need(bool(bound_claims) and not claim.is_denied, "a sighting without place or day")
                self._hear_event(parcel, bound_claims)
            case Kind.CARRIER:
                self._need(all(name == normal(parcel.carrier) for name in claim.names), "another carrier")
            case Kind.AGE:
                self._need(claim.age is not None and _is_age(claim.age, parcel.age_s), "another age")
            case Kind.NOTHING_NEWER:
                self._need(parcel.age_s >= reply.STALE_AFTER_S, "the result is fresh")
            case Kind.UNKNOWN_DAY:
                self._need(not reply.arrival(shipment) and shipment.status is not ShipmentStatus.DELIVERED, "the day is known")
            case Kind.UNKNOWN_PLACE:
                self._need(not parcel.place, "the place is known")
            case Kind.UNKNOWN_CARRIER:
                self._need(not parcel.carrier, "the carrier is known")
            case _:
                raise _Refused(f"unsupported: {claim.kind.value}")

    def _need(self, is_true: bool, reason: str) -> None:
        if not is_true:
            raise _Refused(reason)

    def _hear_state(self, claim: Claim, parcel: Parcel, status: ShipmentStatus, bound: Sequence[Claim]) -> None:
        _, is_true_in, is_false_in = STATES[claim.state]
        if claim.is_denied and claim.state != "not with the carrier":
            self._need(status in is_false_in, "a denial that nothing bears out")
            self._need(not bound, "a denial with a day or place")
            return
        self._need(status in is_true_in, "another state")
        self._need(all(name == normal(parcel.carrier) for name in claim.names), "another carrier")
        if not bound:
            return
        event = parcel.shipment.last_event if parcel.shipment else None
        is_arriving_now = status is ShipmentStatus.OUT_FOR_DELIVERY and all(
            each.day is not None and each.day.can_only_be(self.facts.today, self.facts.today) for each in bound
        )
        if is_arriving_now and parcel.shipment and parcel.shipment.eta == self.facts.today:
            return
        self._need(event is not None and event.status is status, "no day or place of this state")
        self._need(status is not ShipmentStatus.IN_TRANSIT, "no day or place of this state")
        self._hear_event(parcel, bound)

    def _hear_event(self, parcel: Parcel, bound: Sequence[Claim]) -> None:
        for claim in bound:
            if claim.kind is Kind.PLACE:
                self._need(bool(parcel.place) and all(name == normal(parcel.place) for name in claim.names), "another place")
            else:
                day = parcel.event_day
                self._need(claim.day is not None and day is not None and claim.day.can_only_be(day, self.facts.today), "another day")

    def _hear_answer(self, claim: Claim) -> None:
        """A "yes" says whatever the caller asked; a bare one to an offer or a read-back says nothing."""
        line = self.facts.asked[-1] if self.facts.asked else ""
        if not asks_whether(line):
            return
        if claim.kind is Kind.OF_COURSE and any(each.kind is Kind.REQUEST for each in self.claims):
            return
        held = answer_to(line, self.facts, self._parcel)
        wanted = claim.kind is not Kind.NO
        self._need(held is not None and held is wanted, "an answer that nothing bears out")


def asks_whether(line: str) -> bool:
    """Whether a caller's line asks if something is so, rather than where, when or for help."""
    return _ASKS.search(line.lower().replace("\u2019", "'")) is not None


def answer_to(line: str, facts: Facts, parcel: Parcel | None) -> bool | None:
    """The answer to a caller's yes-or-no question that a result bears out; None where it bears out neither."""
    shipment = parcel.shipment if parcel else None
    if parcel is None or shipment is None:
        return None
    asked = [each for each in claims(_as_statement(line), facts.names) if each.kind not in _HARMLESS]
    if len(asked) == 1 and asked[0].kind is Kind.STATE and not asked[0].is_denied:
        _, is_true_in, is_false_in = STATES[asked[0].state]
        return True if shipment.status in is_true_in else False if shipment.status in is_false_in else None
    kinds = [each.kind for each in asked]
    if kinds == [Kind.ARRIVAL, Kind.DAY] and asked[1].day and shipment.eta and reply.arrival(shipment):
        return asked[1].day.can_only_be(shipment.eta, facts.today)
    return None


def _as_statement(question: str) -> str:
    """A question in the order of a statement: "so will it come" → "it will come"."""
    text = re.sub(r"^\W*(?:(?:so|and|but|okay|ok|oh|well)\W+)*", "", question.lower()).rstrip("?!. ")
    return re.sub(rf"^(is|was|has|will|should) (it|(?:my|the|your) (?:{'|'.join(('parcel', 'package', 'order', 'shipment'))}))\b", r"it \1", text)


def _is_age(age: tuple[int, int], age_s: float) -> bool:
    """Whether an age is said as the builder would say it."""
    count, unit_s = age
    return age_s >= reply.STALE_AFTER_S and spoken_age(age_s) == spoken_age(max(count * unit_s, 1))


class Grounder:
    """Lets a growing reply through, as far as it is true.

    Args:
        facts: of this call.
        spoken: what was already said of this very reply, when it goes on after a break.

    Attributes:
        verdicts: on each clause so far.
    """

    def __init__(self, facts: Facts, spoken: str = "") -> None:
        self.facts = facts
        self.verdicts: list[Verdict] = []
        self._clauses = Clauses()
        self._subject: str | None = None
        self._said: list[str] = []
        self._is_replaced = False
        for clause in cut(spoken):
            self._said.append(normal(clause))
            self._subject = judge(clause, facts, self._subject).subject
        if spoken:
            self._is_replaced = normal(fallback(facts)) in normal(spoken) or normal(NOT_CERTAIN) in normal(spoken)

    def feed(self, delta: str) -> list[str]:
        """More of the model's text; what may now be spoken, in order."""
        return self._pass(self._clauses.feed(delta))

    def flush(self, *, is_replacing: bool = True) -> list[str]:
        """The model is done; what may be spoken of the rest.

        Args:
            is_replacing: False where something else follows the refused words anyway (a tool call).
        """
        return self._pass(self._clauses.flush(), is_replacing=is_replacing)

    def _pass(self, clauses: Sequence[str], *, is_replacing: bool = True) -> list[str]:
        spoken: list[str] = []
        for clause in clauses:
            verdict = judge(clause, self.facts, self._subject)
            self.verdicts.append(verdict)
            self._subject = verdict.subject
            if verdict.allowed:
                spoken.append(clause)
                self._said.append(normal(clause))
            elif is_replacing and not self._is_replaced:
                self._is_replaced = True
                spoken.append(self._replacement())
        return spoken

    def _replacement(self) -> str:
        """The builder's words that this reply hasn't said yet."""
        rest = [clause for clause in cut(fallback(self.facts)) if normal(clause) not in self._said]
        return "".join(rest).strip() + " " if rest else ""


def fallback(facts: Facts) -> str:
    """What is said in place of a refused clause: the builder's words for the last result; once told, only that more is not known."""
    parcel = facts.latest
    if parcel is None:
        return NO_NUMBER_YET
    if not parcel.speech or normal(parcel.speech) in normal(facts.heard):
        return NOT_CERTAIN
    return parcel.speech


def check_whole(text: str, facts: Facts) -> list[Verdict]:
    """The verdicts on a whole reply, for a score of what was said."""
    grounder = Grounder(facts)
    grounder.feed(text)
    grounder.flush()
    return grounder.verdicts


