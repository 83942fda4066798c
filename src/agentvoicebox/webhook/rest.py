"""`POST /v1/track`: `{"tracking_id": "…"}` → the outcome. Ordinary 422s, except for a platform that reads no answer but a 2xx.

That platform is known by its form: the arguments stand in `args`, beside the call they belong to.
"""

from typing import Any

from agentvoicebox.delivery import track
from agentvoicebox.webhook.arguments import MOST_CHARACTERS, readings
from agentvoicebox.webhook.contracts import TrackRequest
from agentvoicebox.webhook.dispatch import Dispatch
from agentvoicebox.webhook.extract import ToolCall
from agentvoicebox.webhook.refusal import NotAccepted
from agentvoicebox.webhook.render import answer

WHERE = ("body", "tracking_id")


async def track_parcel(dispatch: Dispatch, tool_name: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body of a 200.

    Args:
        dispatch: runs it.
        tool_name: a name that `dispatch` knows.
        body: decoded.

    Raises:
        NotAccepted: 422; no tracking number was given.
    """
    args = TrackRequest.model_validate(body).args
    is_platform = args is not None and not readings(body)
    call = ToolCall(None, tool_name, args if is_platform else body, WHERE)
    if not is_platform:
        _check(dispatch, call, body)
    (outcome,) = await dispatch.run((call,), None)
    return answer(outcome)


def _check(dispatch: Dispatch, call: ToolCall, body: dict[str, Any]) -> None:
    if not readings(body):
        kind, message = "missing", "Give a tracking_id."
        if "tracking_id" in body:
            kind, message = "string_type", f"The tracking_id should be a text of 1 to {MOST_CHARACTERS} characters."
    elif dispatch.fault(call) is not None:
        kind, message = "tracking_id", "The text holds no tracking number: six to 32 letters and digits."
    else:
        return
    details = [{"type": kind, "loc": list(WHERE), "msg": message}]
    raise NotAccepted(422, "unprocessable", message, details=details, answer=answer(track.invalid_id()))
