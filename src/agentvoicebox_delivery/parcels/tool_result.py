"""Parses the result of the look-up tool, from any source, into facts that may be spoken.

Our own tool answers with `code`, `speech` and `data`. A client that runs the tool itself may answer with less, or with
plain text; unparsable parts are reported as such, never filled in.
"""

from datetime import date

import msgspec

from agentvoicebox.text import plain_text
from agentvoicebox_delivery.parcels import reply, track
from agentvoicebox_delivery.parcels.shipment import Shipment

LONGEST_SPEECH = 600  # maximum of characters of a client's own text that are spoken


class ToolResult(msgspec.Struct, frozen=True):
    """A tool's result.

    Attributes:
        code: as in `track`, or FOUND for a result without a code that has text.
        speech: the sentence for the caller.
    """

    code: str
    speech: str
    data: dict[str, object] = {}

    @property
    def shipment(self) -> Shipment | None:
        """The parcel, if the data hold one."""
        try:
            return msgspec.convert(self.data, Shipment, strict=False)
        except msgspec.ValidationError:
            return None

    @property
    def today(self) -> date | None:
        """The day on which the tool answered; None when the result does not name it."""
        try:
            return msgspec.convert(self.data.get("today"), date)
        except msgspec.ValidationError:
            return None

    @property
    def tracking_id(self) -> str:
        """The id of the result, or ""."""
        value = self.data.get("tracking_id")
        return value if isinstance(value, str) else ""

    @property
    def choices(self) -> tuple[str, ...]:
        """The ids that the caller is asked to choose from."""
        value = self.data.get("candidates")
        return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def read(output: str) -> ToolResult:
    """Parse a tool's output, of any form."""
    try:
        decoded = msgspec.json.decode(output.encode())
    except (msgspec.DecodeError, RecursionError):
        decoded = output
    if isinstance(decoded, dict):
        return _read_object(decoded)
    text = plain_text(decoded, LONGEST_SPEECH) if isinstance(decoded, str) else ""
    return ToolResult(track.FOUND, text) if text else ToolResult(track.ERROR, reply.error())


def _read_object(answer: dict[str, object]) -> ToolResult:
    code, speech, data = answer.get("code"), answer.get("speech"), answer.get("data")
    facts: dict[str, object] = data if isinstance(data, dict) else answer
    known_code = code.upper() if isinstance(code, str) else ""
    if isinstance(speech, str) and speech.strip():
        return ToolResult(known_code or track.FOUND, plain_text(speech, LONGEST_SPEECH), facts)
    bare = ToolResult("", "", facts)
    shipment = bare.shipment
    if shipment is not None:
        return ToolResult(track.FOUND, reply.found(shipment, bare.today), facts)
    if "error" in answer or not known_code:
        return ToolResult(track.ERROR, reply.error(), facts)
    match known_code:
        case track.NOT_FOUND:
            wanted = facts.get("tracking_id")
            return ToolResult(known_code, reply.not_found(wanted if isinstance(wanted, str) else ""), facts)
        case track.UNAVAILABLE:
            return ToolResult(known_code, reply.unavailable(), facts)
        case track.INVALID_ID | track.INVALID_ARGUMENTS:
            return ToolResult(track.INVALID_ID, reply.invalid_id(), facts)
    return ToolResult(track.ERROR, reply.error(), facts)
