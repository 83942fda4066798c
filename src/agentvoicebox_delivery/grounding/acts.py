"""Acts: what a reply may say about a parcel, each in words that hold no more than its result.

A language model, or the choice of a replacement, names an act; the words are made here, in several manners, with days as seen
from the day of the call. The state and the arrival come from `parcels.reply`. Pure.
"""

from enum import StrEnum

import msgspec

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.grounding.answers import answer_to, asks_whether, is_denial
from agentvoicebox_delivery.grounding.facts import Facts, Parcel
from agentvoicebox_delivery.grounding.statements import AWAITED, STATES
from agentvoicebox_delivery.grounding.words import spoken_age
from agentvoicebox_delivery.numbers.readback import ending
from agentvoicebox_delivery.parcels import reply, track
from agentvoicebox_delivery.parcels.shipment import ShipmentStatus


class ActName(StrEnum):
    """What is said."""

    STATUS = "status"
    ARRIVAL = "arrival"
    PLACE = "place"
    CARRIER = "carrier"
    AGE = "age"
    NOT_KNOWN = "not_known"
    CANNOT = "cannot"
    APOLOGY = "apology"
    ASK_NUMBER = "ask_number"
    OFFER = "offer"


class Manner(StrEnum):
    """How it is said."""

    SHORT = "short"
    WARM = "warm"
    APOLOGETIC = "apologetic"


# What no result holds, by topic, as the object of "I can't see".
NOT_KNOWN = {
    "time_of_day": "what time it will come",
    "sender": "who sent it",
    "signature": "who signed for it",
    "reason": "why that is",
    "exact_place": "exactly where it is",
    "charges": "whether there are any charges",
    "how_long": "how long it will be kept",
    "": "that",
}
# What the agent can't do, by topic.
CANNOT = {
    "change_delivery": "change the delivery",
    "refund": "help you with refunds",
    "transfer": "transfer you to a person",
    "call_back": "do that",
    "": "help you with that",
}
_GLAD = frozenset(
    {
        ShipmentStatus.IN_TRANSIT,
        ShipmentStatus.OUT_FOR_DELIVERY,
        ShipmentStatus.DELIVERED,
        ShipmentStatus.READY_FOR_PICKUP,
        ShipmentStatus.PICKED_UP,
    }
)
NO_DAY = "I don't have an expected date for it yet."
LATEST = "I don't have anything more than that."


class Act(msgspec.Struct, frozen=True):
    """One act.

    Attributes:
        parcel: the parcel that it is about; None where no number was looked up.
        topic: for `not_known` and `cannot`: a key of their tables; any other means "that".
        is_named: whether the parcel is named by the end of its number, rather than as "it".
    """

    name: ActName
    parcel: Parcel | None = None
    manner: Manner = Manner.SHORT
    topic: str = ""
    is_named: bool = False


def worded(act: Act, facts: Facts) -> str:
    """The words of an act; "" where the results support none."""
    parcel = act.parcel
    match act.name:
        case ActName.APOLOGY:
            return phrases.SORRY if act.manner is Manner.SHORT else "I'm very sorry about that."
        case ActName.ASK_NUMBER:
            return phrases.ASK if act.manner is Manner.SHORT else "Could you tell me the tracking number, please?"
        case ActName.OFFER:
            return (
                phrases.ANYTHING_ELSE if act.manner is Manner.SHORT else "Is there anything else I can help you with?"
            )
        case ActName.CANNOT:
            return f"I'm sorry, I can't {CANNOT.get(act.topic, CANNOT[''])}.{_ask_carrier(act)}"
        case ActName.NOT_KNOWN:
            return f"I'm sorry, I can't see {NOT_KNOWN.get(act.topic, NOT_KNOWN[''])}.{_ask_carrier(act)}"
    if parcel is None:
        return ""
    if parcel.shipment is None:
        return parcel.speech
    match act.name:
        case ActName.STATUS:
            return _in_manner(_state(act, facts), act)
        case ActName.ARRIVAL:
            return _arrival(act, facts)
        case ActName.PLACE:
            return reply.whereabouts(parcel.shipment, facts.today) or phrases.UNKNOWN_PLACE
        case ActName.CARRIER:
            return _carrier(parcel)
        case ActName.AGE:
            is_old = parcel.age_s >= reply.STALE_AFTER_S
            return f"That was the status {spoken_age(parcel.age_s)} ago." if is_old else LATEST
    return ""


def _carrier(parcel: Parcel) -> str:
    """Who carries it; of a parcel that isn't on its way, whose it is."""
    if not parcel.carrier:
        return phrases.UNKNOWN_CARRIER
    is_carried = parcel.shipment is not None and parcel.shipment.status in STATES["carried"][1]
    return phrases.carrier(parcel.carrier) if is_carried else f"The carrier is {parcel.carrier}."


def _state(act: Act, facts: Facts) -> str:
    """The state alone, without the arrival and the age."""
    assert act.parcel is not None and act.parcel.shipment is not None
    shipment = msgspec.structs.replace(act.parcel.shipment, eta=None)
    said = reply.found(shipment, facts.today)
    if act.is_named:
        return said
    name = f"our parcel ending in {ending(shipment.tracking_id)}"
    return said.replace(f"Y{name}", "It").replace(f"y{name}", "it")


def _arrival(act: Act, facts: Facts) -> str:
    """When it arrives, as an answer to what was asked: "No, it should arrive on Saturday."."""
    parcel = act.parcel
    assert parcel is not None and parcel.shipment is not None
    said = reply.arrival(parcel.shipment, facts.today)
    if not said:
        return NO_DAY if parcel.shipment.status in AWAITED else _in_manner(_state(act, facts), act)
    if reply.is_overdue(parcel.shipment, facts.today):
        return f"I'm sorry, {said[0].lower()}{said[1:]}"
    held = answer_to(facts.question, facts, parcel) if asks_whether(facts.question) else None
    if held is None or is_denial(facts.question):
        return _in_manner(said, act)
    return f"{'Yes' if held else 'No'}, {said[0].lower()}{said[1:]}"


def _in_manner(said: str, act: Act) -> str:
    status = act.parcel.shipment.status if act.parcel and act.parcel.shipment else None
    opening = {Manner.WARM: "Good news, " if status in _GLAD else "I'm sorry, ", Manner.APOLOGETIC: "I'm sorry, "}.get(
        act.manner, ""
    )
    return f"{opening}{said[0].lower()}{said[1:]}" if opening else said


def _ask_carrier(act: Act) -> str:
    """Who may know or do it: the carrier, where there is one."""
    is_for_carrier = act.topic not in ("transfer", "call_back", "refund")
    carrier = act.parcel.carrier if act.parcel else ""
    if not carrier or not is_for_carrier or (act.parcel is not None and act.parcel.result.code != track.FOUND):
        return ""
    return f" Please ask {carrier}."
