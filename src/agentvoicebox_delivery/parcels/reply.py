"""Builds the spoken sentence for a shipment or outcome. The same input gives the same words, with no more facts than the input.

A status is short: the state, and when the parcel arrives or arrived. Where it was last seen and who carries it is said on demand.
Days are worded as seen from `today`, the day on which the sentence is said; None means that it is unknown, so that dates are said
in full and nothing is called past or coming.

Contains every sentence of the tool. The dialogue's own questions are in `dialogue`.
"""

from collections.abc import Sequence
from datetime import date

from agentvoicebox.text import plain_text
from agentvoicebox_delivery.grounding.words import spoken_age, spoken_day
from agentvoicebox_delivery.numbers.readback import ending, readback
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus

LONGEST_PLACE = 60  # maximum of characters of a stored field that are spoken
STALE_AFTER_S = 60.0  # below this, an answer does not mention its age (requirement B2.1, cache of 60 s)

# Each with the parcel's name ("your parcel ending in …") in its place.
_STATE = {
    ShipmentStatus.LABEL_CREATED: "a shipping label has been created for {}, but the carrier hasn't received it yet",
    ShipmentStatus.PICKED_UP: "{} has been picked up by the carrier",
    ShipmentStatus.IN_TRANSIT: "{} is on its way",
    ShipmentStatus.CUSTOMS: "{} is being held at customs",
    ShipmentStatus.OUT_FOR_DELIVERY: "{} is out for delivery",
    ShipmentStatus.READY_FOR_PICKUP: "{} is ready for pickup",
    ShipmentStatus.DELIVERED: "{} has been delivered",
    ShipmentStatus.DELAYED: "{} is delayed",
    ShipmentStatus.EXCEPTION: "there's a delivery problem with {}",
    ShipmentStatus.RETURNED: "{} is being returned to the sender",
    ShipmentStatus.CANCELLED: "{} has been cancelled by the sender",
}
_DELIVERED_THEN = "{} was delivered"  # where and when it was is known

# In these states the arrival is still to come.
ARRIVING = frozenset(
    {
        ShipmentStatus.LABEL_CREATED,
        ShipmentStatus.PICKED_UP,
        ShipmentStatus.IN_TRANSIT,
        ShipmentStatus.CUSTOMS,
        ShipmentStatus.OUT_FOR_DELIVERY,
        ShipmentStatus.DELAYED,
        ShipmentStatus.EXCEPTION,
    }
)


def found(shipment: Shipment, today: date | None = None, *, age_s: float = 0.0) -> str:
    """The state of a parcel, and its arrival. `age_s` is the age of the data; above a minute the sentence mentions it."""
    parcel = f"your parcel ending in {ending(shipment.tracking_id)}"
    state, event = _STATE[shipment.status], shipment.last_event
    more = ""
    if shipment.status is ShipmentStatus.DELIVERED and event and event.status is shipment.status:
        more = _in_place(event.location) + (f" {spoken_day(event.at, today)}" if event.at else "")
        state = _DELIVERED_THEN if event.at else state
    elif shipment.status is ShipmentStatus.READY_FOR_PICKUP and event and event.status is shipment.status:
        more = _in_place(event.location)
    opening = state.format(parcel) + more
    sentences = [f"{opening[0].upper()}{opening[1:]}.", arrival(shipment, today)]
    if age_s >= STALE_AFTER_S:
        sentences.append(f"That was the status {spoken_age(age_s)} ago; I can't get anything newer right now.")
    return " ".join(sentence for sentence in sentences if sentence)


def arrival(shipment: Shipment, today: date | None = None) -> str:
    """The expected arrival; "" when it has arrived, never will, or the day is unknown. A day in the past is reported as such."""
    if shipment.eta is None or shipment.status not in ARRIVING:
        return ""
    day = spoken_day(shipment.eta, today)
    if today is None:
        return f"Its expected arrival is {day}."
    if shipment.eta < today:
        return f"It was expected {day}, and has not been recorded as delivered."
    return f"It should arrive {day}."


def is_overdue(shipment: Shipment, today: date | None) -> bool:
    """Whether it was expected before today, and has not been recorded as delivered."""
    return today is not None and shipment.eta is not None and shipment.eta < today and shipment.status in ARRIVING


def whereabouts(shipment: Shipment, today: date | None = None) -> str:
    """Where it was last seen, and when; "" when this is unknown."""
    event = shipment.last_event
    if event is None or not event.location or not plain(event.location):
        return ""
    return f"It was last seen{_in_place(event.location)}" + (f" {spoken_day(event.at, today)}." if event.at else ".")


def not_found(tracking_id: str) -> str:
    """No such parcel. The number is read back, so that the caller knows what was looked up."""
    number = f" the number {readback(tracking_id)}" if tracking_id else " that number"
    return f"I couldn't find a parcel with{number}."


def invalid_id() -> str:
    """The input is not a tracking number."""
    return "That doesn't look like a complete tracking number. Tracking numbers have at least six letters and digits."


def unreliable_number() -> str:
    """The last digits of the number were lost on the way here."""
    return "I can't be sure of every digit of that number. Please read it to me."


def confirm(tracking_id: str) -> str:
    """One parcel fits a guess; no state is reported yet."""
    return f"I heard {readback(tracking_id)}. Is that right?"


def ambiguous(tracking_ids: Sequence[str]) -> str:
    """Several parcels fit; the caller chooses by the end of the number."""
    endings = [ending(each) for each in tracking_ids]
    if len(set(endings)) < len(endings):
        endings = [readback(each) for each in tracking_ids]
    return f"I found more than one number like that. Does yours end in {', or in '.join(endings)}?"


def unavailable() -> str:
    """The source of parcels does not answer."""
    return "I'm sorry, I can't reach the tracking system right now. Please try again in a few minutes."


def error() -> str:
    """An error on our side."""
    return "I'm sorry, something went wrong while I was looking that up."


def plain(stored: str) -> str:
    """A stored field in speakable form: one line, no control characters or markup, at most 60 characters."""
    return plain_text(stored, LONGEST_PLACE)


def _in_place(location: str | None) -> str:
    place = plain(location) if location else ""
    return f" in {place}" if place else ""
