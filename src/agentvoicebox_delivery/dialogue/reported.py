"""The parcels reported in a call: which of them a line means, and what a result answers about one."""

import re
from datetime import timedelta

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.state import DialogueState
from agentvoicebox_delivery.dialogue.want_reading import bare
from agentvoicebox_delivery.dialogue.wants import Want
from agentvoicebox_delivery.numbers.readback import readback, spelled_ending
from agentvoicebox_delivery.parcels import reply
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus
from agentvoicebox_delivery.parcels.tool_result import ToolResult

LEAST_ENDING = 2  # characters of a number that name one of the parcels reported

_ORDER = {
    "first": 0,
    "earlier": 0,
    "former": 0,
    "second": 1,
    "latter": 1,
    "third": 2,
    "fourth": 3,
    "last": -1,
    "latest": -1,
}
_STATES = {
    ShipmentStatus.DELIVERED: r"\b(?:delivered|arrived) one\b|\bone (?:that was|that's been) delivered\b",
    ShipmentStatus.IN_TRANSIT: r"\bone (?:that's |that is )?(?:on its way|in transit|on the way)\b",
    ShipmentStatus.DELAYED: r"\b(?:late|delayed) one\b|\bone (?:that's |that is )?(?:late|delayed)\b",
}


def meant(state: DialogueState, text: str, fragment: str) -> tuple[ToolResult, ...]:
    """The parcels that a line names ("the first one", "the DHL one", "both", an ending); () when it names none.

    Args:
        state: with the parcels reported.
        text: the line.
        fragment: the characters that it spells.
    """
    reported, line = state.reported, bare(text)
    if len(fragment) >= LEAST_ENDING:
        ends = tuple(each for each in reported if each.tracking_id.endswith(fragment))
        if len(ends) == 1:
            return ends
    if len(reported) < 2:
        return ()
    if re.search(r"\b(?:both|all of them|each)\b", line):
        return reported
    for word, index in _ORDER.items():
        if re.search(rf"\b{word}\b", line) and -len(reported) <= index < len(reported):
            return (reported[index],)
    if re.search(r"\bother one\b|\bthe other\b|\b(?:one|parcel) (?:from )?before\b|\bprevious\b", line):
        return tuple(each for each in reported if each.tracking_id != state.about)[-1:]
    of_carrier = tuple(each for each in reported if _carrier(each) and re.search(rf"\b{_carrier(each)}\b", line))
    if len(of_carrier) == 1:
        return of_carrier
    in_state = tuple(
        each for each in reported if each.shipment and re.search(_STATES.get(each.shipment.status, r"(?!)"), line)
    )
    return in_state if len(in_state) == 1 else ()


def current(state: DialogueState) -> ToolResult | None:
    """The parcel reported or asked about last."""
    return next(
        (each for each in state.reported if each.tracking_id == state.about),
        state.reported[-1] if state.reported else None,
    )


def status(result: ToolResult) -> str:
    """The status of a parcel, as the tool worded it."""
    return result.speech


def answer(want: Want, result: ToolResult, text: str) -> str:
    """The answer to a question about a parcel from its result; "" where it is no such question."""
    shipment, today = result.shipment, result.today
    if shipment is None:
        return result.speech if want in (Want.WHEN, Want.WHERE, Want.CARRIER, Want.STATE, Want.MORE, Want.NEED) else ""
    line = bare(text)
    match want:
        case Want.WHEN:
            return _when(result, shipment, line)
        case Want.WHERE if shipment.status in (ShipmentStatus.DELIVERED, ShipmentStatus.READY_FOR_PICKUP):
            return result.speech
        case Want.WHERE:
            return reply.whereabouts(shipment, today) or phrases.UNKNOWN_PLACE
        case Want.CARRIER:
            return _by_carrier(shipment)
        case Want.GUARANTEE:
            return f"{phrases.NO_PROMISE} {reply.arrival(shipment, today) or result.speech}"
        case Want.NUMBER:
            return phrases.number_is(readback(shipment.tracking_id))
        case Want.MORE:
            details = (
                [result.speech] if shipment.status is ShipmentStatus.DELIVERED else [reply.whereabouts(shipment, today)]
            )
            details.append(_by_carrier(shipment) if shipment.carrier else "")
            return " ".join(each for each in details if each) or result.speech
        case Want.STATE | Want.NEED:
            return result.speech
    return ""


def named(result: ToolResult, sentence: str) -> str:
    """A sentence about one of several parcels, behind the parcel's state, which names it."""
    return sentence if sentence.startswith(result.speech) else f"{result.speech} {sentence}".strip()


def is_ending(fragment: str, tracking_id: str) -> bool:
    """Whether the characters are the end of an id, as it is reported."""
    return fragment == spelled_ending(tracking_id) or (len(fragment) >= LEAST_ENDING and tracking_id.endswith(fragment))


def _when(result: ToolResult, shipment: Shipment, line: str) -> str:
    arrives = reply.arrival(shipment, result.today)
    if not arrives:
        is_open = shipment.status in reply.ARRIVING
        return phrases.UNKNOWN_DAY if is_open else result.speech
    asked = {"today": 0, "tomorrow": 1}
    for word, ahead in asked.items():
        if re.search(rf"\b{word}\b", line) and result.today and not reply.is_overdue(shipment, result.today):
            is_that = shipment.eta == result.today + timedelta(days=ahead)
            return f"{phrases.YES if is_that else phrases.NO} {arrives}"
    return arrives


def _by_carrier(shipment: Shipment) -> str:
    if not shipment.carrier:
        return phrases.UNKNOWN_CARRIER
    name = reply.plain(shipment.carrier)
    return phrases.delivered_by(name) if shipment.status is ShipmentStatus.DELIVERED else phrases.carrier(name)


def _carrier(result: ToolResult) -> str:
    name = result.shipment.carrier if result.shipment else None
    return re.escape(bare(name)) if name else ""
