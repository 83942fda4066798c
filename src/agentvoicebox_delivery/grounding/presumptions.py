"""What a clause takes for granted, and whether the caller has asked for what no result holds."""

import re

from agentvoicebox_delivery.dialogue.wants import Want
from agentvoicebox_delivery.grounding.claims import ClaimKind, claims
from agentvoicebox_delivery.grounding.facts import Facts, Parcel
from agentvoicebox_delivery.grounding.statements import AWAITED, STATES
from agentvoicebox_delivery.parcels.shipment import ShipmentStatus

# What no result answers.
UNKNOWABLE = frozenset(
    {
        Want.SIGNATURE,
        Want.SENDER,
        Want.REASON,
        Want.HOUR,
        Want.CHARGES,
        Want.KEEP,
        Want.CONTENTS,
        Want.REFUND,
        Want.HOURS,
    }
)
_KNOWABLE = frozenset({Want.WHEN, Want.WHERE, Want.CARRIER, Want.NUMBER, Want.GUARANTEE})
_WHY = re.compile(r"\b(?:why|reasons?|cause|explanation)\b.*\b(return|cancel)", re.IGNORECASE)
_PICK_UP = re.compile(r"\b(?:pick(?:ing)? it up|collect(?:ing)? it)\b", re.IGNORECASE)
_WHO_GOT_IT = re.compile(r"\bwho (?:has )?(?:accepted|received|took)\b", re.IGNORECASE)
_HOPES = re.compile(
    r"\b(?:hope|hopefully|fingers crossed|enjoy|have fun)\b.*\b(?:arriv|gets|comes|reach|turns up"
    r"|shows up|makes it|on time)",
    re.IGNORECASE,
)
_PAST_STATE = re.compile(r"(?:was|were|has|have|had)\b")


def presumes(clause: str, facts: Facts, parcel: Parcel | None) -> bool:
    """Whether a clause takes for granted what isn't so ("I can't see why it was returned")."""
    status = parcel.shipment.status if parcel is not None and parcel.shipment is not None else None
    if _PICK_UP.search(clause) and status is not ShipmentStatus.READY_FOR_PICKUP:
        return True
    fate = _WHY.search(clause)
    if fate and status is not (
        ShipmentStatus.RETURNED if fate[1].lower().startswith("return") else ShipmentStatus.CANCELLED
    ):
        return True
    if _WHO_GOT_IT.search(clause) and status is not ShipmentStatus.DELIVERED:
        return True
    if _HOPES.search(clause) and status not in AWAITED:
        return True
    past = [
        each for each in claims(clause, facts.names) if each.kind is ClaimKind.STATE and _PAST_STATE.match(each.text)
    ]
    return any(status not in STATES[each.state][1] for each in past if not each.is_denied)


def is_unknowable(want: Want, parcel: Parcel | None) -> bool:
    """Whether no result answers what the caller wants; what an exception is, no result says either."""
    shipment = parcel.shipment if parcel is not None else None
    if want is Want.WHEN and shipment is not None:
        return shipment.eta is None and shipment.status in AWAITED
    is_trouble = (
        parcel is not None and parcel.shipment is not None and parcel.shipment.status is ShipmentStatus.EXCEPTION
    )
    return want in UNKNOWABLE or (is_trouble and want not in _KNOWABLE)
