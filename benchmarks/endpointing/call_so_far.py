"""What was said and looked up before a turn of the corpus, so that the dialogue stands where its question comes from."""

from datetime import date
from functools import cache

from benchmarks.endpointing.corpus import ELSE, RIGHT

from agentvoicebox.engine.jobs import ChatMessage, ToolCall
from agentvoicebox_delivery.numbers.tracking import Candidate
from agentvoicebox_delivery.parcels import reply, tool_schema, track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus

NUMBER_SAID = "PKG004"  # of the parcel that the questions are about
_SPOKEN = "It's P K G zero zero four."
_PARCEL = Shipment(NUMBER_SAID, ShipmentStatus.IN_TRANSIT, None, date(2026, 11, 24))


@cache
def call_so_far(asked: str) -> tuple[ChatMessage, ...]:
    """The lines up to the agent's last one, which is `asked`."""
    before: tuple[ChatMessage, ...] = ()
    if asked == RIGHT:
        before = _looked_up(
            track.LookupOutcome(track.CONFIRM, reply.confirm(NUMBER_SAID), {"tracking_id": NUMBER_SAID})
        )
    elif asked == ELSE:
        before = _looked_up(track.outcome([Candidate(NUMBER_SAID, 1.0)], [_PARCEL]))
    return (*before, ChatMessage("assistant", asked))


def _looked_up(outcome: track.LookupOutcome) -> tuple[ChatMessage, ...]:
    call = ToolCall("call_1", tool_schema.NAME, f'{{"tracking_id":"{NUMBER_SAID}","heard":["{_SPOKEN}"]}}')
    return (
        ChatMessage("user", _SPOKEN),
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", outcome.as_json(), call_id="call_1"),
    )
