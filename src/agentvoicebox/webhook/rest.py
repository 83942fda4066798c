"""REST: `POST /v1/tools/<name>` for each tool, and the shorter routes of kits (`ToolRoute`, like `/v1/track`).

Invalid arguments get a 422, except for a platform that ignores every answer but a 2xx. A kit's route recognises it by the body:
the arguments are in `args`, beside the call.
"""

from typing import Any

import msgspec

from agentvoicebox.kits.services import ToolRoute
from agentvoicebox.tools.definition import Definition, Outcome
from agentvoicebox.tools.schema import Misfit, Unreadable
from agentvoicebox.webhook.contracts import WrappedArguments
from agentvoicebox.webhook.dispatch import Dispatch
from agentvoicebox.webhook.extract import WebhookToolCall
from agentvoicebox.webhook.refusal import NotAccepted, unprocessable
from agentvoicebox.webhook.render import INVALID, answer, one_line, status_of


class RestAnswer(msgspec.Struct, frozen=True):
    """The tool's arguments, and the body of the 200."""

    arguments: dict[str, Any]
    body: dict[str, Any]


async def run_route(dispatch: Dispatch, route: ToolRoute, definition: Definition, body: dict[str, Any]) -> RestAnswer:
    """Run a tool for a kit's own route.

    Args:
        dispatch: runs the tool.
        route: the kit's route.
        definition: of the route's tool.
        body: the decoded body.

    Raises:
        NotAccepted: 422; the arguments are invalid.
    """
    args = WrappedArguments.model_validate(body).args
    arguments = body if args is None or _fault(definition, body) is None else args
    (outcome,) = await dispatch.run((WebhookToolCall(None, definition.name, arguments, ("body", route.field)),), None)
    if arguments is body and status_of(outcome) == INVALID:
        raise _refusal(route, body, outcome)
    return RestAnswer(arguments, answer(outcome))


async def run_tool(dispatch: Dispatch, definition: Definition, body: dict[str, Any]) -> RestAnswer:
    """Run a tool for its own route; the answer also has `output`, the text for a language model.

    Raises:
        NotAccepted: 422; the arguments do not fit the tool's schema.
    """
    fault = _fault(definition, body)
    if isinstance(fault, Misfit):
        kind = "missing" if fault.problem == "missing" else "value_error"
        raise unprocessable(kind, ["body", *fault.where.split(".")], f"{one_line(fault.where)}: {fault.problem}.")
    if fault is not None:
        raise unprocessable("dict_type", ["body"], "The body must be a JSON object.")
    (outcome,) = await dispatch.run((WebhookToolCall(None, definition.name, body, ("body",)),), None)
    return RestAnswer(body, {**answer(outcome), "output": one_line(outcome.output)})


def _fault(definition: Definition, body: dict[str, Any]) -> Misfit | Unreadable | None:
    try:
        definition.read(body)
    except (Misfit, Unreadable) as fault:
        return fault
    return None


def _refusal(route: ToolRoute, body: dict[str, Any], outcome: Outcome) -> NotAccepted:
    kind, message = route.fault(body)
    details = [{"type": kind, "loc": ["body", route.field], "msg": message}]
    return NotAccepted(422, "unprocessable", message, details=details, answer=answer(outcome))
