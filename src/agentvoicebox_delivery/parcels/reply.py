"""Builds the spoken sentence for a shipment or outcome. The same input gives the same words, with no more facts than the input.

Contains every sentence of the tool. The dialogue's own questions are in `dialogue`.
"""

from collections.abc import Sequence

from agentvoicebox.text import plain_text
from agentvoicebox_delivery.grounding.words import spoken_age, spoken_date, spoken_moment
from agentvoicebox_delivery.numbers.readback import ending, readback
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus

LONGEST_PLACE = 60  # maximum of characters of a stored field that are spoken
STALE_AFTER_S = 60.0  # below this, an answer does not mention its age (requirement B2.1, cache of 60 s)

_STATUS = {
    ShipmentStatus.LABEL_CREATED: "has been announced, but the carrier does not have it yet",
    ShipmentStatus.PICKED_UP: "has been picked up by the carrier",
    ShipmentStatus.IN_TRANSIT: "is on its way",
    ShipmentStatus.CUSTOMS: "is being held at customs",
    ShipmentStatus.OUT_FOR_DELIVERY: "is out for delivery",
    ShipmentStatus.READY_FOR_PICKUP: "is ready for you to pick up",
    ShipmentStatus.DELIVERED: "has been delivered",
    ShipmentStatus.DELAYED: "is delayed",
    ShipmentStatus.EXCEPTION: "has run into a problem with the carrier",
    ShipmentStatus.RETURNED: "is going back to the sender",
    ShipmentStatus.CANCELLED: "has been cancelled by the sender",
}

# In these states the arrival is still to come.
_ARRIVING = frozenset(
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


def found(shipment: Shipment, *, age_s: float = 0.0) -> str:
    """The known facts about a parcel. `age_s` is the age of the data; above a minute the sentence mentions it."""
    opening = f"Your parcel ending in {ending(shipment.tracking_id)} {_STATUS[shipment.status]}"
    event = shipment.last_event
    if shipment.status is ShipmentStatus.DELIVERED and event and event.status is shipment.status:
        opening += _in_place(event.location) + (f" on {spoken_moment(event.at)}" if event.at else "")
    elif shipment.status is ShipmentStatus.READY_FOR_PICKUP and event and event.status is shipment.status:
        opening += _in_place(event.location)
    elif shipment.carrier and shipment.status is ShipmentStatus.IN_TRANSIT:
        opening += f" with {plain(shipment.carrier)}"
    sentences = [opening + ".", arrival(shipment), _last_seen(shipment)]
    if age_s >= STALE_AFTER_S:
        sentences.append(f"That was the state {spoken_age(age_s)} ago; I can't get anything newer right now.")
    return " ".join(sentence for sentence in sentences if sentence)


def arrival(shipment: Shipment) -> str:
    """The expected arrival; "" when it has arrived, never will, or the day is unknown."""
    if shipment.eta is None or shipment.status not in _ARRIVING:
        return ""
    return f"It should arrive on {spoken_date(shipment.eta)}."


def whereabouts(shipment: Shipment) -> str:
    """Where it was last seen, and when; "" when this is unknown."""
    event = shipment.last_event
    if event is None or not event.location or not plain(event.location):
        return ""
    return f"It was last seen{_in_place(event.location)}" + (f" on {spoken_moment(event.at)}." if event.at else ".")


def not_found(tracking_id: str) -> str:
    """No such parcel. The number is read back, so that the caller hears how it was understood."""
    number = f" the number {readback(tracking_id)}" if tracking_id else " that number"
    return f"I couldn't find a parcel with{number}."


def invalid_id() -> str:
    """The input is not a tracking number."""
    return "That doesn't look like a whole tracking number. It has at least six letters and digits."


def confirm(tracking_id: str) -> str:
    """One parcel fits a guess; no state is reported yet."""
    return f"I understood {readback(tracking_id)}. Is that your number?"


def ambiguous(tracking_ids: Sequence[str]) -> str:
    """Several parcels fit; the caller chooses by the end of the number."""
    endings = [ending(each) for each in tracking_ids]
    if len(set(endings)) < len(endings):
        endings = [readback(each) for each in tracking_ids]
    return f"There is more than one number that could be. Does yours end in {', or in '.join(endings)}?"


def unavailable() -> str:
    """The source of parcels does not answer."""
    return "I'm sorry, I can't reach the parcel records right now. Please try again in a few minutes."


def error() -> str:
    """An error on our side."""
    return "I'm sorry, something went wrong while I was looking that up."


def plain(stored: str) -> str:
    """A stored field in speakable form: one line, no control characters or markup, at most 60 characters."""
    return plain_text(stored, LONGEST_PLACE)


def _in_place(location: str | None) -> str:
    place = plain(location) if location else ""
    return f" in {place}" if place else ""


def _last_seen(shipment: Shipment) -> str:
    """The place, for a parcel in transit. For a delivered one it was reported already; one not yet posted has none."""
    if shipment.status in (ShipmentStatus.DELIVERED, ShipmentStatus.READY_FOR_PICKUP, ShipmentStatus.OUT_FOR_DELIVERY):
        return ""
    return whereabouts(shipment)
