"""The core of the look-up tool for all channels: a raw id, and the shipments found for it → an outcome to speak and to read.

Pure: it defines which ids to look up, and what the result means. The callers perform the look-up, with their own time
limits (`agentvoicebox_delivery.tool`, the webhook). An outcome's `speech` is complete; callers add no facts.
"""

from collections.abc import Sequence
from datetime import date

import msgspec

from agentvoicebox_delivery.grounding.names import speakable
from agentvoicebox_delivery.numbers.tracking import (
    CLEAR_LEAD,
    MOST_CANDIDATES,
    Candidate,
    candidates,
    is_tracking_id,
    normalize,
)
from agentvoicebox_delivery.parcels import reply
from agentvoicebox_delivery.parcels.shipment import Shipment

FOUND = "FOUND"
NOT_FOUND = "NOT_FOUND"
INVALID_ID = "INVALID_ID"
INVALID_ARGUMENTS = "INVALID_ARGUMENTS"
CONFIRM = "CONFIRM"
AMBIGUOUS = "AMBIGUOUS"
UNAVAILABLE = "UNAVAILABLE"
ERROR = "ERROR"
UNKNOWN_TOOL = "UNKNOWN_TOOL"

MOST_CHOICES = 3  # numbers offered in one question; more are hard to remember


class LookupOutcome(msgspec.Struct, frozen=True):
    """The outcome of a look-up.

    Attributes:
        code: one of the constants of this module.
        speech: the sentence for the caller, one line.
        data: JSON-able facts; for FOUND the shipment, for CONFIRM `tracking_id`, for AMBIGUOUS `candidates`.
    """

    code: str
    speech: str
    data: dict[str, object] = {}

    def as_json(self) -> str:
        """Compact JSON on one line."""
        return msgspec.json.encode(self).decode()


def wanted(raw: str | Sequence[str]) -> list[Candidate]:
    """The ids to look up, best first, at most 16; [] means that no tracking number was given.

    Args:
        raw: an id as typed or spoken, or several readings of one, likeliest first.
    """
    if isinstance(raw, str):
        return candidates(raw)
    given = [reading for reading in raw if reading.strip()]
    if len(given) <= 1:
        return candidates(given[0]) if given else []
    rivals: dict[str, Candidate] = {}
    for reading in given:
        compact = normalize(reading)
        if is_tracking_id(compact) and compact not in rivals:
            rank = len(rivals)
            rivals[compact] = Candidate(compact, score=1.0 / (1 + rank), cost=CLEAR_LEAD if rank else 0.0)
    alike = [each for each in candidates(given[0]) if each.cost > CLEAR_LEAD and each.tracking_id not in rivals]
    return [*rivals.values(), *alike][:MOST_CANDIDATES]


def outcome(
    asked: Sequence[Candidate], shipments: Sequence[Shipment], *, today: date | None = None, age_s: float = 0.0
) -> LookupOutcome:
    """The meaning of the shipments found for `asked`, given on `today` (None: the day is unknown).

    A shipment of the plain reading is reported at once. A guessed one must be confirmed first, without its state.
    """
    if not asked:
        return invalid_id()
    rank = {candidate.tracking_id: index for index, candidate in enumerate(asked)}
    known = sorted((each for each in shipments if each.tracking_id in rank), key=lambda each: rank[each.tracking_id])
    if not known:
        return LookupOutcome(NOT_FOUND, reply.not_found(asked[0].tracking_id), {"tracking_id": asked[0].tracking_id})
    rivals = [each for each in known if asked[rank[each.tracking_id]].cost <= asked[0].cost + CLEAR_LEAD]
    if len(rivals) > 1:
        ids = [each.tracking_id for each in rivals[:MOST_CHOICES]]
        return LookupOutcome(AMBIGUOUS, reply.ambiguous(ids), {"candidates": ids})
    first = known[0]
    if rank[first.tracking_id] > 0 or asked[0].cost >= CLEAR_LEAD:
        return LookupOutcome(CONFIRM, reply.confirm(first.tracking_id), {"tracking_id": first.tracking_id})
    first = speakable(first)
    return LookupOutcome(FOUND, reply.found(first, today, age_s=age_s), facts(first, today, age_s=age_s))


def facts(shipment: Shipment, today: date | None = None, *, age_s: float = 0.0) -> dict[str, object]:
    """A shipment as JSON-able data, without unknown fields; dates are ISO 8601. `today` is the day of the answer."""
    data: dict[str, object] = msgspec.to_builtins(shipment)
    data = {name: value for name, value in data.items() if value is not None}
    if today is not None:
        data["today"] = today.isoformat()
    if age_s >= reply.STALE_AFTER_S:
        data["age_s"] = round(age_s)
    return data


def invalid_id() -> LookupOutcome:
    """The input has no tracking number."""
    return LookupOutcome(INVALID_ID, reply.invalid_id())


def unreliable_number() -> LookupOutcome:
    """The id came as a number that is too large to have all its digits."""
    return LookupOutcome(INVALID_ID, reply.unreliable_number())


def invalid_arguments() -> LookupOutcome:
    """The arguments of the call are invalid."""
    return LookupOutcome(INVALID_ARGUMENTS, reply.invalid_id())


def unavailable() -> LookupOutcome:
    """The backend did not answer in time."""
    return LookupOutcome(UNAVAILABLE, reply.unavailable())


def error() -> LookupOutcome:
    """An internal error."""
    return LookupOutcome(ERROR, reply.error())


def unknown_tool(name: str) -> LookupOutcome:
    """There is no tool with this name."""
    return LookupOutcome(UNKNOWN_TOOL, reply.error(), {"tool": name[:64]})
