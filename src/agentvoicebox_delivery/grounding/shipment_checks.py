"""Checks one statement about a parcel against its result: its state, its arrival, its last event. `judgement` calls them."""

from collections.abc import Sequence
from datetime import date

from agentvoicebox_delivery.grounding.claims import ClaimKind, ClauseClaim
from agentvoicebox_delivery.grounding.clauses import normal
from agentvoicebox_delivery.grounding.facts import Parcel
from agentvoicebox_delivery.grounding.refusal import need
from agentvoicebox_delivery.grounding.statements import AWAITED, COMPLETED, STATES
from agentvoicebox_delivery.parcels import reply
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus


def check_state(
    claim: ClauseClaim,
    parcel: Parcel,
    status: ShipmentStatus,
    bound: Sequence[ClauseClaim],
    today: date,
    *,
    has_age: bool,
) -> None:
    """A statement of a state, with the days and places bound to it. Raises ClaimRefused."""
    _, is_true_in, is_false_in = STATES[claim.state]
    if claim.is_denied and claim.state != "not with the carrier":
        need(status in is_false_in, "an unsupported denial")
        need(not bound, "a denial with a day or place")
        need(not claim.names or claim.state == "picked up", "a denial with a carrier")
        return
    need(status in is_true_in, "another state")
    is_past = claim.text.startswith(("was ", "were ", "had "))
    is_reported_as_past = claim.state in COMPLETED or has_age
    need(is_reported_as_past or not is_past, "a state described as past")
    if not bound:
        return
    event = parcel.shipment.last_event if parcel.shipment else None
    is_arriving_now = status is ShipmentStatus.OUT_FOR_DELIVERY and all(
        each.day is not None and each.day.can_only_be(today, today) for each in bound
    )
    if is_arriving_now and parcel.shipment and parcel.shipment.eta == today:
        return
    # A parcel is in transit for days and in many places; and an ambiguous state says nothing about the time.
    is_event = event is not None and event.status is status and len(is_true_in) == 1
    need(is_event and status is not ShipmentStatus.IN_TRANSIT, "no day or place of this state")
    check_event(parcel, bound, today)


def check_overdue(shipment: Shipment, bound: Sequence[ClauseClaim], today: date) -> None:
    """A day of arrival that has passed. Raises ClaimRefused."""
    is_past = shipment.eta is not None and shipment.eta < today
    need(is_past and shipment.status in AWAITED, "it isn't overdue")
    for claim in bound:
        is_that_day = claim.day and shipment.eta and claim.day.can_only_be(shipment.eta, today)
        need(bool(is_that_day), "another day of arrival")


def check_arrival(
    shipment: Shipment, bound: Sequence[ClauseClaim], today: date, *, is_denied: bool, has_day: bool = False
) -> None:
    """A day of arrival to come; `has_day`: another part of the clause names the day. Raises ClaimRefused."""
    need(bool(reply.arrival(shipment)) and shipment.eta is not None, "no day of arrival is known")
    need(shipment.eta is None or shipment.eta >= today, "the day of arrival has passed")
    if is_denied:
        days = [claim.day for claim in bound]
        is_other = all(day and shipment.eta and not day.can_only_be(shipment.eta, today) for day in days)
        need(bool(days) and is_other, "a denial of the arrival")
        return
    need(bool(bound) or has_day, "a promise without a day")
    for claim in bound:
        is_that_day = claim.day and shipment.eta and claim.day.can_only_be(shipment.eta, today)
        need(bool(is_that_day), "another day of arrival")
        need(claim.day is None or (claim.day.hours is None and claim.day.side != "earlier"), "a time of day")


def check_event(parcel: Parcel, bound: Sequence[ClauseClaim], today: date) -> None:
    """Days and places of the last event. Raises ClaimRefused."""
    for claim in bound:
        if claim.kind is ClaimKind.PLACE:
            need(bool(parcel.place) and all(name == normal(parcel.place) for name in claim.names), "another place")
        else:
            day = parcel.event_day
            need(
                claim.day is not None and day is not None and claim.day.can_only_be(day, today),
                "another day",
            )
            check_hours(parcel, claim)


def check_hours(parcel: Parcel, claim: ClauseClaim) -> None:
    """A time of day of the last event. Raises ClaimRefused."""
    hours = claim.day.hours if claim.day else None
    at = parcel.shipment.last_event.at if parcel.shipment and parcel.shipment.last_event else None
    need(claim.day is None or claim.day.side != "later", "an event to come")
    need(hours is None or (at is not None and hours[0] <= at.hour < hours[1]), "another time of day")
