"""The REST doors: `POST /v1/track`, `{"tracking_id": "…"}` → the outcome, and `POST /v1/tools/<name>` for each tool.

Ordinary 422s, except for a platform that reads no answer but a 2xx. That platform is known at `/v1/track` by its form: the
arguments stand in `args`, beside the call they belong to.
"""

from typing import Any

import msgspec

from agentvoicebox.tools.definition import Definition, Outcome
from agentvoicebox.tools.schema import Misfit, Unreadable
from agentvoicebox.webhook.contracts import TrackRequest
from agentvoicebox.webhook.dispatch import Dispatch
from agentvoicebox.webhook.extract import ToolCall
from agentvoicebox.webhook.refusal import NotAccepted, unprocessable
from agentvoicebox.webhook.render import MEANINGLESS, answer, one_line

WHERE = ("body", "tracking_id")


class Told(msgspec.Struct, frozen=True):
    """What was asked, and the body of a 200 that answers it."""

    arguments: dict[str, Any]
    answer: dict[str, Any]


async def track_parcel(dispatch: Dispatch, definition: Definition, body: dict[str, Any]) -> Told:
    """Where a parcel is.

    Args:
        dispatch: runs it.
        definition: of the look-up.
        body: decoded.

    Raises:
        NotAccepted: 422; no tracking number was given.
    """
    args = TrackRequest.model_validate(body).args
    arguments = body if args is None or _fault(definition, body) is None else args
    (outcome,) = await dispatch.run((ToolCall(None, definition.name, arguments, WHERE),), None)
    if arguments is body and outcome.code in MEANINGLESS:
        raise _no_number(definition, body, outcome)
    return Told(arguments, answer(outcome))


async def run_tool(dispatch: Dispatch, definition: Definition, body: dict[str, Any]) -> Told:
    """A tool's outcome, told as at `/v1/track`, and with `output`, which a language model reads.

    Raises:
        NotAccepted: 422; the arguments don't fit the tool's schema.
    """
    fault = _fault(definition, body)
    if isinstance(fault, Misfit):
        kind = "missing" if fault.problem == "missing" else "value_error"
        raise unprocessable(kind, ["body", *fault.where.split(".")], f"{one_line(fault.where)}: {fault.problem}.")
    if fault is not None:
        raise unprocessable("dict_type", ["body"], "The body should be an object.")
    (outcome,) = await dispatch.run((ToolCall(None, definition.name, body, ("body",)),), None)
    return Told(body, {**answer(outcome), "output": one_line(outcome.output)})


def _fault(definition: Definition, body: dict[str, Any]) -> Misfit | Unreadable | None:
    try:
        definition.read(body)
    except (Misfit, Unreadable) as fault:
        return fault
    return None


def _no_number(definition: Definition, body: dict[str, Any], outcome: Outcome) -> NotAccepted:
    kind, message = "tracking_id", "The text holds no tracking number: six to 32 letters and digits."
    if _fault(definition, body) is not None:
        kind, message = "missing", "Give a tracking_id."
        if "tracking_id" in body:
            kind, message = "string_type", "The tracking_id should be a text with letters or digits."
    details = [{"type": kind, "loc": list(WHERE), "msg": message}]
    return NotAccepted(422, "unprocessable", message, details=details, answer=answer(outcome))
