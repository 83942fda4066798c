"""What a look-up within a budget came to: an answer with its age, or that nobody can tell now.

Holds the words for it and turns them into the outcome that every front door speaks. How the answer is got is `cache`'s.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.sources.unreadable import UnreadableRecord

BUDGET_S = 0.5  # requirement B2.4


class AnswerSource(StrEnum):
    """Where an answer is from. The values are labels of metrics."""

    FETCHED = "fetched"
    CACHED = "cached"
    LAST_KNOWN = "last_known"
    NOWHERE = "nowhere"


class Answer(msgspec.Struct, frozen=True):
    """What a look-up came to.

    Attributes:
        shipments: those that exist among the asked, in the order asked; None when nobody can tell now.
        age_s: how old the oldest of them is, 0 or more; for `delivery.track.outcome`.
        failure: machine-readable name of what went wrong, also when the last known answer stands in; None when nothing did.
    """

    source: AnswerSource
    shipments: tuple[Shipment, ...] | None
    age_s: float = 0.0
    failure: str | None = None


OUT_OF_TIME = "budget_exceeded"


def outcome(asked: Sequence[Candidate], answer: Answer) -> track.LookupOutcome:
    """What the answer means to the caller who asked."""
    if answer.shipments is not None:
        return track.outcome(asked, answer.shipments, age_s=answer.age_s)
    # The records can be reached, so "try again in a few minutes" would be a promise that nobody keeps.
    return track.error() if answer.failure == UnreadableRecord.code else track.unavailable()
