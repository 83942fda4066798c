"""Converts Sanity's documents to shipments. Nothing is guessed.

A document with an invalid state is unreadable as a whole: the parcel exists, so "not found" would be wrong, and any state would
be invented. Other invalid fields are left out. Different documents for one number are unreadable together. Each fault is logged
with the document's id, never with its text.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
import structlog

from agentvoicebox_delivery.numbers.tracking import normalize
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus

LONGEST_TEXT = 200  # most characters of a name or place
NOT_PUBLISHED = ("drafts.", "versions.")  # prefixes of the ids of drafts and releases

# Other spellings of the states, with exactly the same meaning.
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
    """The content of an answer's documents.

    Attributes:
        shipments: by tracking id.
        unreadable: requested ids whose parcel exists, but with an invalid record.
    """

    shipments: dict[str, Shipment]
    unreadable: frozenset[str]


def read(documents: Sequence[Any], tracking_ids: Sequence[str]) -> Reading:
    """Read the shipments of the requested normalised ids from the documents of an answer."""
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
            _skip(document, "not a requested id")
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
    if has_unmatched:  # one of them may be any of the ids that were not found
        unreadable |= {each for each in tracking_ids if each not in shipments}
    return Reading(shipments, frozenset(unreadable))


def numbers_of(documents: Sequence[Any]) -> list[str]:
    """The tracking numbers of documents of any state; both, where a document's two fields differ. Drafts are left out."""
    found: dict[str, None] = {}
    for document in documents:
        if isinstance(document, dict) and not str(document.get("_id", "")).startswith(NOT_PUBLISHED):
            found |= dict.fromkeys(_ids_of(document))
    return list(found)


def status_of(written: object) -> ShipmentStatus | None:
    """The state for an editor's text ("In transit", `out-for-delivery`, `inTransit`); None if it is unknown."""
    if not isinstance(written, str):
        return None
    name = _WORD_BREAK.sub("_", written.strip()).lower()
    try:
        return ShipmentStatus(name)
    except ValueError:
        return _SAME_AS.get(name)


def day_of(written: object) -> date | None:
    """A day from a date or a timestamp (the day in its own time zone); None for anything else."""
    if not isinstance(written, str):
        return None
    try:
        return date.fromisoformat(written) if len(written) == len("2025-11-24") else _moment(written).date()
    except ValueError:
        return None


def moment_of(written: object) -> datetime | None:
    """A timestamp; None for anything else, also for a date, because its hour is unknown."""
    if not isinstance(written, str) or len(written) <= len("2025-11-24"):
        return None
    try:
        return _moment(written)
    except ValueError:
        return None


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written.strip())


def _asked_id(document: Mapping[str, Any], tracking_ids: Sequence[str]) -> str | None:
    """The requested id of a document; None also if its two id fields differ."""
    ids = _ids_of(document)
    return ids.pop() if len(ids) == 1 and ids <= set(tracking_ids) else None


def _ids_of(document: Mapping[str, Any]) -> set[str]:
    written = [document.get(name) for name in ("trackingIdNorm", "trackingId")]
    return {normalize(each) for each in written if isinstance(each, str) and each.strip()}


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
