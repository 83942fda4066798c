"""The replacement of a refused sentence: the builder's answer to the question that the caller asked. Pure."""

import re

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.want_reading import is_angry, want_of
from agentvoicebox_delivery.dialogue.wants import Want
from agentvoicebox_delivery.grounding.acts import Act, ActName, Manner, worded
from agentvoicebox_delivery.grounding.answers import answer_to, asks_whether, is_denial
from agentvoicebox_delivery.grounding.clauses import normal
from agentvoicebox_delivery.grounding.facts import Facts, Parcel
from agentvoicebox_delivery.grounding.judgement import NO_NUMBER_YET, NOT_CERTAIN
from agentvoicebox_delivery.parcels import track

# What answers a question about a parcel that was looked up: the act, and its topic.
_ANSWERS: dict[Want, tuple[ActName, str]] = {
    Want.SIGNATURE: (ActName.NOT_KNOWN, "signature"),
    Want.SENDER: (ActName.NOT_KNOWN, "sender"),
    Want.CHARGES: (ActName.NOT_KNOWN, "charges"),
    Want.KEEP: (ActName.NOT_KNOWN, "how_long"),
    Want.REASON: (ActName.NOT_KNOWN, "reason"),
    Want.HOUR: (ActName.NOT_KNOWN, "time_of_day"),
    Want.REFUND: (ActName.CANNOT, "refund"),
    Want.REDELIVERY: (ActName.CANNOT, "change_delivery"),
    Want.ADDRESS: (ActName.CANNOT, "change_delivery"),
    Want.LEAVE: (ActName.CANNOT, "change_delivery"),
    Want.HUMAN: (ActName.CANNOT, "transfer"),
    Want.NOT_RECEIVED: (ActName.STATUS, ""),
    Want.WHERE: (ActName.PLACE, ""),
    Want.CARRIER: (ActName.CARRIER, ""),
    Want.WHEN: (ActName.ARRIVAL, ""),
}
_WHEN_IT_CAME = re.compile(r"\bwhen (?:was|did)\b")
WELCOME = "You're welcome."
NOT_FOUND_AGAIN = "I couldn't find a parcel with that number."
# Where no number was looked up yet.
_BEFORE_A_PARCEL = {Want.HUMAN: phrases.NO_HUMAN, Want.GREETING: phrases.GREETED}


def fallback(facts: Facts) -> str:
    """The answer to what the caller asked last, in the builder's words."""
    want, parcel = want_of(facts.question), _meant(facts)
    if parcel is None:
        return _BEFORE_A_PARCEL.get(want, NO_NUMBER_YET)
    if not facts.heard:
        return parcel.speech or NOT_CERTAIN
    if want is Want.THANKS:
        return WELCOME
    # The status was heard: the question is about something else, or asks for one part of it again.
    act = _act(want, facts.question, parcel)
    if act is not None and parcel.shipment is not None:
        return worded(act, facts) or NOT_CERTAIN
    if act is not None and act.name is ActName.CANNOT:
        return worded(act, facts)
    if parcel.shipment is None and normal(parcel.speech) in normal(facts.heard):
        return NOT_FOUND_AGAIN if parcel.result.code == track.NOT_FOUND else NOT_CERTAIN
    if parcel.shipment is not None and is_angry(facts.question):
        said = worded(Act(ActName.ARRIVAL, parcel), facts)
        return f"{worded(Act(ActName.APOLOGY, parcel, Manner.WARM), facts)} {said}"
    if parcel.shipment is not None and asks_whether(facts.question):
        return _answered(facts, parcel)
    if parcel.shipment is not None and want is Want.STATE:
        return worded(Act(ActName.STATUS, parcel), facts)
    return parcel.speech if normal(parcel.speech) not in normal(facts.heard) else NOT_CERTAIN


def _act(want: Want, question: str, parcel: Parcel) -> Act | None:
    name, topic = _ANSWERS.get(want, (None, ""))
    if name is ActName.ARRIVAL and _WHEN_IT_CAME.search(question.lower()):
        name = ActName.STATUS
    return None if name is None else Act(name, parcel, topic=topic)


def _answered(facts: Facts, parcel: Parcel) -> str:
    """The state, as an answer to a yes-or-no question that the results decide."""
    state = worded(Act(ActName.STATUS, parcel), facts)
    held = None if is_denial(facts.question) else answer_to(facts.question, facts, parcel)
    return state if held is None else f"{'Yes' if held else 'No'}, {state[0].lower()}{state[1:]}"


def _meant(facts: Facts) -> Parcel | None:
    """The parcel that the question is about: the one asked for last, unless it says "the first one" of two."""
    question = facts.question.lower()
    if len(facts.parcels) == 2 and re.search(r"\bthe (?:first|other) (?:one|parcel|package)\b", question):
        return facts.parcels[0]
    return facts.latest
