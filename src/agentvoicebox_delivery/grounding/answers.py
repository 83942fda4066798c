"""The meaning of a short answer: "yes", "of course" and "great news!" confirm whatever the caller has just asked.

Decides whether the caller asked a yes-or-no question, and which answer the facts support. `judgement` decides whether a clause
passes.
"""

import re
from collections.abc import Sequence
from datetime import timedelta

from agentvoicebox_delivery.grounding.claims import HARMLESS, ClaimKind, ClauseClaim, claims
from agentvoicebox_delivery.grounding.facts import Facts, Parcel
from agentvoicebox_delivery.grounding.statements import STATES
from agentvoicebox_delivery.parcels import reply

AHEAD_DAYS = 14  # how far ahead a caller's "Tuesday" may be

_VERB = r"(?:is|was|has|have|had|did|does|do|will|would|should|could|can|may|might|are|am|were)"
_WH = r"(?:where|when|what|which|who|how|why)"
_HELP = r"(?:help|look|check|track|find|tell|say|repeat|hear|see|please|give|let)"
# An inverted verb asks whether; after "where" or "when" it doesn't, and "can you help" asks for help.
_SEEKING = re.compile(rf"\b{_WH}(?: (?!{_VERB}\b)\w+)?(?: {_VERB} \w+|'s \w+)|\b(?:can|could|would|will) you {_HELP}\b")
_WHETHER = re.compile(
    rf"\b{_VERB}(?:n't| not)? "
    r"(?:it|they|my|the|this|that|there|i|we|he|she|someone|somebody|anyone|anybody|you)\b"
    r"|\b(?:right|correct|true)\s*\?"
)
# A remark about a parcel may be a question too, by intonation alone.
_FATE = re.compile(
    r"\b(?:it's|it is|it will|it'll|they'll|so it|deliver(?:ed)?|arriv\w*|com(?:e|es|ing)|today|tomorrow|lost|stolen"
    r"|late|delay\w*|refund\w*|money|customs|here|yet|safe|soon)\b"
)
_ANSWER_LIKE = re.compile(
    r"\b(?:oh no|afraid"
    r"|unfortunately|sadly|thankfully|great|perfect|wonderful|excellent|lovely|ok|okay|alright|right|good|fine|news"
    r"|problem|worries|not|understood|got|noted|glad|happy|yes|correct|still|now|actually|again"
    r"|help (?:you )?(?:out )?with (?:that|this|it))\b"
)
_HOW_IS = re.compile(
    r"\bhow(?:'s| is| are| has)\b(?: \w+){0,3} (?:parcel|package|order|delivery|shipment|it)\b|\bhow is it\b"
)
_HELP_WITH_THAT = re.compile(r"\bhelp (?:you )?(?:out )?with (?:that|this|it)\b")


def asks_whether(line: str) -> bool:
    """Whether a caller's line is a yes-or-no question, rather than one for place, time or help."""
    low = line.lower().replace("\u2019", "'")
    if _HOW_IS.search(low):
        return True
    rest = _SEEKING.sub(" ", low)
    return _WHETHER.search(rest) is not None or (rest == low and _FATE.search(low) is not None)


def is_denial(line: str) -> bool:
    """Whether a question says "not": "so it hasn't been delivered yet?"."""
    return re.search(r"n['\u2019]t\b|\bnot\b", line.lower()) is not None


def is_answer_like(found: Sequence[ClauseClaim]) -> bool:
    """Whether all of a clause can be taken for a yes or no ("I'm afraid so", "great news!")."""
    is_empty = all(
        each.kind in (ClaimKind.LINK, ClaimKind.NEUTRAL, ClaimKind.COURTESY)
        or (each.kind is ClaimKind.REQUEST and _HELP_WITH_THAT.search(each.text))
        for each in found
    )
    return is_empty and any(_ANSWER_LIKE.search(each.text) for each in found)


def answer_to(line: str, facts: Facts, parcel: Parcel | None) -> bool | None:
    """The true answer to a caller's yes-or-no question; None where the results support neither."""
    shipment = parcel.shipment if parcel else None
    if shipment is None:
        return None
    asked = [
        each for each in claims(_as_statement(line), facts.names) if each.kind not in HARMLESS | {ClaimKind.NUMBER}
    ]
    match asked:
        case [ClauseClaim(kind=ClaimKind.STATE) as state]:
            _, is_true_in, is_false_in = STATES[state.state]
            return True if shipment.status in is_true_in else False if shipment.status in is_false_in else None
        case [ClauseClaim(kind=ClaimKind.ARRIVAL), ClauseClaim(kind=ClaimKind.DAY, day=day)] if day and reply.arrival(
            shipment
        ):
            days = [facts.today + timedelta(days=ahead) for ahead in range(AHEAD_DAYS)]
            meant = [each for each in days if day.can_only_be(each, facts.today)]
            return meant[0] == shipment.eta if len(meant) == 1 else None
    return None


def _as_statement(question: str) -> str:
    """A question in the word order of a statement: "so will it come" → "it will come"."""
    text = re.sub(r"^\W*(?:(?:so|and|but|okay|ok|oh|well)\W+)*", "", question.split(", ")[-1].lower()).rstrip("?!. ")
    text = re.sub(r"(?: (?:yet|already|now|then|please))+$", "", text)
    text = re.sub(r"^is (it|(?:my|the|your) (?:parcel|package|order|shipment)) coming\b", r"will \1 come", text)
    return re.sub(
        r"^(is|was|has|will|should) (?:it|(?:my|the|your) (?:parcel|package|order|shipment))\b", r"it \1", text
    )
