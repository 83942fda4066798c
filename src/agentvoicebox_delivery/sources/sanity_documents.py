"""Documents as editors wrote them → shipments as they may be told. Nothing is guessed.

A document whose state can't be read is unreadable as a whole: its parcel exists, so "not found" would be a lie, and any state
would be invented. A field beside the state that can't be read is left out. Two documents for one number that tell different
candidates are unreadable together. Each of these is logged, with the document's id and never with its words.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
import structlog

from agentvoicebox_delivery.numbers.tracking import normalize
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus

LONGEST_TEXT = 200  # characters of a stored name or place that are kept; far fewer are ever spoken
NOT_PUBLISHED = ("drafts.", "versions.")  # how ids of drafts and of releases begin

# Other spellings of our states that editors use. None of these says more or less than the state it stands for.
_SAME_AS = {
    "canceled": ShipmentStatus.CANCELLED,
    "in_customs": ShipmentStatus.CUSTOMS,
    "held_at_customs": ShipmentStatus.CUSTOMS,
    "available_for_pickup": ShipmentStatus.READY_FOR_PICKUP,
    "ready_for_collection": ShipmentStatus.READY_FOR_PICKUP,
    "returned_to_sender": ShipmentStatus.RETURNED,
    "return_to_sender": ShipmentStatus.RETURNED,
}
_WORD_BREAK = re.compile(r"(?<=[a-z])(?=[A-Z])|[\s_-]+")

_log = structlog.get_logger(__name__)


class Reading(msgspec.Struct, frozen=True):
    """What the documents of an answer came to.

    Attributes:
        shipments: by tracking id.
        unreadable: asked ids whose parcel exists, in a state that can't be told.
    """

    shipments: dict[str, Shipment]
    unreadable: frozenset[str]


def read(documents: Sequence[Any], tracking_ids: Sequence[str]) -> Reading:
    """The shipments of the asked normalised ids in the documents of an answer."""
    candidates: dict[str, list[Shipment]] = {}
    unreadable: set[str] = set()
    has_unmatched = False
    for document in documents:
        if not isinstance(document, dict):
            _log.warning("document skipped", reason="not an object")
            has_unmatched = True
            continue
        if str(document.get("_id", "")).startswith(NOT_PUBLISHED):
            continue
        tracking_id = _asked_id(document, tracking_ids)
        if tracking_id is None:
            _skip(document, "no id that was asked for")
            has_unmatched = True
            continue
        status = status_of(document.get("status"))
        if status is None:
            _skip(document, "no known status")
            unreadable.add(tracking_id)
            continue
        candidates.setdefault(tracking_id, []).append(_shipment(tracking_id, status, document))
    for tracking_id, found in candidates.items():
        if len({msgspec.structs.replace(each, updated_at=None) for each in found}) > 1:
            _log.warning("documents contradict each other", documents=len(found))
            unreadable.add(tracking_id)
    shipments = {each: found[-1] for each, found in candidates.items() if each not in unreadable}
    if has_unmatched:  # one of them may have been any of those that we did not find
        unreadable |= {each for each in tracking_ids if each not in shipments}
    return Reading(shipments, frozenset(unreadable))


def status_of(written: object) -> ShipmentStatus | None:
    """A state as editors write it ("In transit", `out-for-delivery`, `inTransit`); None when it is none of ours."""
    if not isinstance(written, str):
        return None
    name = _WORD_BREAK.sub("_", written.strip()).lower()
    try:
        return ShipmentStatus(name)
    except ValueError:
        return _SAME_AS.get(name)


def day_of(written: object) -> date | None:
    """A day written as a day or as a moment (then the day where it was written); None when it is neither."""
    if not isinstance(written, str):
        return None
    try:
        return date.fromisoformat(written) if len(written) == len("2025-11-24") else _moment(written).date()
    except ValueError:
        return None


def moment_of(written: object) -> datetime | None:
    """A moment; None for anything else, also for a bare day, whose hour we would have to invent."""
    if not isinstance(written, str) or len(written) <= len("2025-11-24"):
        return None
    try:
        return _moment(written)
    except ValueError:
        return None


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written.strip())


def _asked_id(document: Mapping[str, Any], tracking_ids: Sequence[str]) -> str | None:
    """The asked id that the document is about; None also when its two spellings disagree."""
    written = [document.get(name) for name in ("trackingIdNorm", "trackingId")]
    ids = {normalize(each) for each in written if isinstance(each, str) and each.strip()}
    return ids.pop() if len(ids) == 1 and ids <= set(tracking_ids) else None


def _shipment(tracking_id: str, status: ShipmentStatus, document: Mapping[str, Any]) -> Shipment:
    eta = day_of(document.get("eta"))
    if eta is None and document.get("eta"):
        _skip(document, "eta can't be read", what="field")
    return Shipment(
        tracking_id,
        status,
        _text(document.get("carrier")),
        eta,
        _event(document),
        moment_of(document.get("_updatedAt")),
    )


def _event(document: Mapping[str, Any]) -> ShipmentEvent | None:
    last = document.get("last")
    if last is None:
        return None
    status = status_of(last.get("status")) if isinstance(last, dict) else None
    if status is None:
        _skip(document, "last event can't be read", what="field")
        return None
    return ShipmentEvent(status, moment_of(last.get("at")), _text(last.get("location")))


def _text(written: object) -> str | None:
    return (written.strip()[:LONGEST_TEXT] or None) if isinstance(written, str) else None


def _skip(document: Mapping[str, Any], reason: str, *, what: str = "document") -> None:
    _log.warning(f"{what} skipped", document=str(document.get("_id"))[:64], reason=reason)
