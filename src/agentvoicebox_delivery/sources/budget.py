"""The result of a look-up within a time budget: an answer with its age, or none.

Converts it to the tool's outcome. `cache` does the look-up.
"""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

import msgspec

from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.sources.unreadable import RefusedRequest, UnreadableRecord

BUDGET_S = 0.5  # requirement B2.4


class AnswerSource(StrEnum):
    """The origin of an answer. The values are labels of metrics."""

    FETCHED = "fetched"
    CACHED = "cached"
    LAST_KNOWN = "last_known"
    NOWHERE = "nowhere"


class Answer(msgspec.Struct, frozen=True):
    """The result of a look-up.

    Attributes:
        source: the origin of the answer.
        shipments: the requested parcels that exist, in the order of the request; None if there is no answer.
        age_s: age of the oldest of them, 0 or more; for `parcels.track.outcome`.
        failure: machine-readable name of the failure, also when the last known answer is used; None if there was none.
    """

    source: AnswerSource
    shipments: tuple[Shipment, ...] | None
    age_s: float = 0.0
    failure: str | None = None


OUT_OF_TIME = "budget_exceeded"
LASTING = frozenset({UnreadableRecord.code, RefusedRequest.code})  # failures until an operator acts


def outcome(asked: Sequence[Candidate], answer: Answer, *, today: date | None = None) -> track.LookupOutcome:
    """The tool's outcome for an answer, given on `today`."""
    if answer.shipments is not None:
        return track.outcome(asked, answer.shipments, today=today, age_s=answer.age_s)
    # "Try again in a few minutes" would be a false promise.
    return track.error() if answer.failure in LASTING else track.unavailable()
