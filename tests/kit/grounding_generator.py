"""Grounding lines by the thousand: a random parcel, a template, and either its own facts or one that is another's."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec

from agentvoicebox.engine.jobs import ChatMessage
from agentvoicebox_delivery.grounding.facts import Facts, gather
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus
from tests.kit.grounding_corpus import TODAY

_S = ShipmentStatus
CARRIERS = ("DHL", "UPS", "FedEx", "USPS", "Royal Mail", "DPD", "Evri", "Hermes", "GLS", "Canada Post")
PLACES = (
    "Leipzig", "Leeds", "Bristol", "Denver", "Paris", "Cologne", "York", "Cardiff", "Memphis", "New York", "Reading", "Bath",
    "Nice", "Liège", "São Paulo", "Stratford-upon-Avon", "St. Louis", "Mobile", "Frankfurt am Main", "Hull",
)  # fmt: skip
_STATES: dict[ShipmentStatus, tuple[str, ...]] = {
    _S.LABEL_CREATED: ("has been announced", "has been announced, but the carrier doesn't have it yet"),
    _S.PICKED_UP: ("has been picked up by the carrier", "was picked up"),
    _S.IN_TRANSIT: ("is on its way", "is in transit", "is currently on the way", "is still in transit"),
    _S.CUSTOMS: ("is being held at customs", "is at customs", "is still with customs"),
    _S.OUT_FOR_DELIVERY: ("is out for delivery", "is now out for delivery"),
    _S.READY_FOR_PICKUP: ("is ready for you to pick up", "is ready for pickup", "is ready to be collected"),
    _S.DELIVERED: ("has been delivered", "was delivered", "has already been delivered", "has arrived"),
    _S.DELAYED: ("is delayed", "has been delayed", "is running late"),
    _S.EXCEPTION: ("has run into a problem with the carrier", "has run into a problem"),
    _S.RETURNED: ("is going back to the sender", "is being returned to the sender"),
    _S.CANCELLED: ("has been cancelled by the sender", "was cancelled"),
}  # fmt: skip
_ARRIVING = (_S.LABEL_CREATED, _S.PICKED_UP, _S.IN_TRANSIT, _S.CUSTOMS, _S.OUT_FOR_DELIVERY, _S.DELAYED)
_OPENINGS = ("", "", "", "Okay. ", "Thanks for waiting. ", "I found it. ", "Good news! ", "Thank you. ")
_CLOSINGS = (
    "",
    "",
    "",
    " Is there anything else?",
    " Is there anything else I can help you with?",
    " Have a nice day!",
)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "twenty-first",
    "twenty-second",
    "twenty-third",
    "twenty-fourth",
    "twenty-fifth",
    "twenty-sixth",
    "twenty-seventh",
    "twenty-eighth",
    "twenty-ninth",
    "thirtieth",
    "thirty-first",
]
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


class Made(msgspec.Struct, frozen=True):
    """A line of known worth, and the facts it is to be judged by."""

    text: str
    kind: str
    facts: Facts


def generated(seed: int, count: int) -> Iterator[tuple[Made, Made]]:
    """`count` pairs: a true line, and the same line with one false detail."""
    chance = random.Random(seed)
    for _ in range(count):
        parcel, other = _parcel(chance), _parcel(chance)
        while (
            other.status is parcel.status or other.carrier == parcel.carrier or other.tracking_id == parcel.tracking_id
        ):
            other = _parcel(chance)
        facts = _facts([other, parcel] if chance.random() < 0.3 else [parcel])
        # The wording is drawn once, so that the false line differs in its one detail only.
        wording = chance.random()
        true = _line(parcel, random.Random(wording))
        false, kind = true, ""
        while false == true:
            mutant, kind = _falsified(parcel, other, chance)
            false = _line(mutant, random.Random(wording))
        yield Made(true, "generated", facts), Made(false, kind, facts)


def _facts(parcels: list[Shipment]) -> Facts:
    lines: list[ChatMessage] = []
    for parcel in parcels:
        result = track.outcome([Candidate(parcel.tracking_id, 1.0)], [parcel]).as_json()
        lines += [ChatMessage("user", parcel.tracking_id), ChatMessage("tool", result, call_id=parcel.tracking_id)]
    return gather(lines, TODAY)


def _parcel(chance: random.Random) -> Shipment:
    status = chance.choice(list(_S))
    eta = TODAY + timedelta(days=chance.randint(0, 6)) if status in _ARRIVING else None
    at = datetime.combine(TODAY - timedelta(days=chance.randint(0, 6)), datetime.min.time(), UTC)
    event = ShipmentEvent(status, at.replace(hour=chance.randint(0, 23)), chance.choice(PLACES))
    number = f"PKG{chance.randint(0, 999):03d}" if chance.random() < 0.5 else f"ORD{chance.randint(0, 99999):05d}"
    return Shipment(number, status, chance.choice(CARRIERS), eta, event)


def _falsified(parcel: Shipment, other: Shipment, chance: random.Random) -> tuple[Shipment, str]:
    event = parcel.last_event
    assert event and event.at
    replace = msgspec.structs.replace
    kind = chance.choice(("day", "event day", "place", "carrier", "number", "state"))
    match kind:
        case "day" if parcel.eta:
            shift = chance.choice(
                [days for days in range(-3, 4) if days and parcel.eta + timedelta(days=days) >= TODAY]
            )
            return replace(parcel, eta=parcel.eta + timedelta(days=shift)), kind
        case "event day":
            shift = chance.choice(
                [days for days in range(-3, 4) if days and event.at.date() + timedelta(days=days) <= TODAY]
            )
            return replace(parcel, last_event=replace(event, at=event.at + timedelta(days=shift))), kind
        case "place":
            places = [place for place in PLACES if place != event.location]
            return replace(parcel, last_event=replace(event, location=chance.choice(places))), kind
        case "number":
            strange = f"{parcel.tracking_id[:-3]}{chance.randint(0, 999):03d}"
            return replace(parcel, tracking_id=strange), kind
        case "state":
            status = other.status
            return replace(parcel, status=status, eta=parcel.eta, last_event=replace(event, status=status)), kind
    return replace(parcel, carrier=other.carrier), "carrier"


def _line(parcel: Shipment, chance: random.Random) -> str:
    """A reply about a parcel. Draws the same number of times for every parcel, so that wordings stay in step."""
    event = parcel.last_event
    assert event and event.at
    draws = [chance.random() for _ in range(12)]
    number = " ".join(_DIGITS[int(digit)] for digit in parcel.tracking_id[-3:])
    subject = _pick(
        draws[0],
        (
            f"Your parcel ending in {number}", f"Your {parcel.carrier} parcel", f"Parcel {parcel.tracking_id}",
            f"The package ending in {parcel.tracking_id[-3:]}",
        ),
    )  # fmt: skip
    state = _pick(draws[1], _STATES[parcel.status])
    sentences = [f"{subject} {state}."]
    seen = _pick(
        draws[2], ("It was last seen in {} {}.", "It was last scanned in {} {}.", "The last scan was in {} {}.")
    )
    if parcel.status is _S.DELIVERED:
        sentences[0] = sentences[0][:-1] + f" in {event.location} {_day(event.at.date(), draws[3])}."
    else:
        sentences.append(seen.format(event.location, _day(event.at.date(), draws[3])))
    if parcel.eta:
        arrival = _pick(
            draws[4],
            ("It should arrive {}.", "It is expected {}.", "It should be with you {}.", "It's due to arrive {}."),
        )
        sentences.append(arrival.format(_day(parcel.eta, draws[5])))
    sentences.append(_pick(draws[6], (f"The carrier is {parcel.carrier}.", f"The parcel ending in {number} {state}.")))
    return _pick(draws[7], _OPENINGS) + " ".join(sentences) + _pick(draws[8], _CLOSINGS)


def _pick(draw: float, options: tuple[str, ...]) -> str:
    return options[int(draw * len(options))]


def _day(day: date, draw: float) -> str:
    """One of the ways to say a day within six days of today; written apart from the code that reads them."""
    ordinal = _ORDINALS[day.day - 1]
    month, weekday = _MONTHS[day.month - 1], _WEEKDAYS[day.weekday()]
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10 if day.day not in (11, 12, 13) else 0, "th")
    away = (day - TODAY).days
    near = {-1: "yesterday", 0: "today", 1: "tomorrow", 2: "in two days", -2: "two days ago"}.get(away, f"on {weekday}")
    options = (
        f"on {weekday}", f"on {weekday}, the {ordinal} of {month}", f"on {month} {day.day}{suffix}",
        f"on the {ordinal} of {month}",
        f"on {weekday}, {month} {day.day}", f"on {weekday}, {month} {ordinal}", f"on {weekday} the {day.day}{suffix}", near,
        f"on the {day.day}{suffix} of {month}",
    )  # fmt: skip
    return _pick(draw, options)
