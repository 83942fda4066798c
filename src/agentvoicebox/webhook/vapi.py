"""Answers the messages of Vapi, by message type (vapi-and-sanity §2).

Invariant: a message that waits for tool results gets status 200 and one result for each readable id; a 422 only if there is no
readable id. Messages that expect no answer get `{}` at once.
"""

from collections.abc import Sequence
from typing import Any

from agentvoicebox.telemetry.logs import bound, get_logger
from agentvoicebox.tools.definition import Outcome
from agentvoicebox.webhook.contracts import WebhookMessage
from agentvoicebox.webhook.dispatch import Dispatch
from agentvoicebox.webhook.extract import WebhookToolCall, function_call, tool_calls
from agentvoicebox.webhook.masking import event_name, masked
from agentvoicebox.webhook.refusal import NotAccepted, unprocessable
from agentvoicebox.webhook.render import INVALID, result_text, status_of, tool_result

TOOL_CALLS = "tool-calls"
FUNCTION_CALL = "function-call"
CLOSED = "I'm sorry, we can't take your call right now. Goodbye."
NO_TRANSFER = "I'm sorry, I can't transfer your call."

ANSWERED = frozenset(
    {
        TOOL_CALLS,
        FUNCTION_CALL,
        "assistant-request",
        "transfer-destination-request",
        "handoff-destination-request",
        "knowledge-base-request",
        "campaign.predial",
    }
)
NOTICES = frozenset(
    {
        "assistant.speechStarted",
        "assistant.started",
        "call.artifact.upload",
        "call.delete.failed",
        "call.deleted",
        "call.endpointing.request",
        "chat.created",
        "chat.deleted",
        "conversation-update",
        "end-of-call-report",
        "hang",
        "language-change-detected",
        "language-changed",
        "model-output",
        "phone-call-control",
        "session.created",
        "session.deleted",
        "session.updated",
        "speech-update",
        "status-update",
        "transcript",
        'transcript[transcriptType="final"]',
        "transfer-update",
        "user-interrupted",
        "voice-input",
        "voice-request",
    }
)
KNOWN = ANSWERED | NOTICES

log = get_logger(__name__)


class Vapi:
    """Answers messages.

    Args:
        assistant_id: assistant for calls to a number without one; "": such calls are declined with a sentence.
        is_strict: answer invalid arguments with a 422 instead of a result. The platform ignores such an answer.
    """

    def __init__(self, dispatch: Dispatch, *, assistant_id: str = "", is_strict: bool = False) -> None:
        self._dispatch = dispatch
        self._assistant_id = assistant_id
        self._is_strict = is_strict

    async def answer(self, message: WebhookMessage) -> dict[str, Any]:
        """The body of a 200.

        Raises:
            NotAccepted: 422; nothing in the message can be answered.
        """
        with bound(session_id=masked(message.conversation_id) if message.conversation_id else None):
            return await self._answer(message)

    async def _answer(self, message: WebhookMessage) -> dict[str, Any]:
        match message.type:
            case "tool-calls":
                return await self._tool_calls(message)
            case "function-call":
                return await self._function_call(message)
            case "assistant-request":
                # An empty answer would end the call silently.
                return {"assistantId": self._assistant_id} if self._assistant_id else {"error": CLOSED}
            case "transfer-destination-request" | "handoff-destination-request":
                return {"error": NO_TRANSFER}
            case "knowledge-base-request":
                return {"documents": []}
            case "campaign.predial":
                return {"eligible": False}  # the server has no list of numbers to dial, and a call can't be undone
            case None | "":
                if tool_calls(message).calls:
                    return await self._tool_calls(message)
                raise unprocessable("missing", ["body", "message", "type"], "The message has no type.")
            case _:
                if message.type not in KNOWN:
                    log.info("unknown message type", message_type=event_name(message.type, KNOWN))
                return {}

    async def _tool_calls(self, message: WebhookMessage) -> dict[str, Any]:
        found = tool_calls(message)
        if not found.calls:
            if found.nameless:
                first: list[str | int] = ["body", "message", "toolCallList", 0, "id"]
                raise unprocessable("missing", first, "No tool call has an id, so no result could be matched to one.")
            raise unprocessable("missing", ["body", "message", "toolCallList"], "The message has no tool call.")
        outcomes = await self._dispatch.run(found.calls, message.conversation_id)
        if self._is_strict:
            _check_arguments(found.calls, outcomes)
        return {
            "results": [
                tool_result(call.id, call.name, outcome)
                for call, outcome in zip(found.calls, outcomes, strict=True)
                if call.id is not None
            ]
        }

    async def _function_call(self, message: WebhookMessage) -> dict[str, Any]:
        call = function_call(message)
        if call is None:
            raise unprocessable("missing", ["body", "message", "functionCall"], "The message has no function call.")
        (outcome,) = await self._dispatch.run((call,), message.conversation_id)
        if self._is_strict:
            _check_arguments((call,), [outcome])
        return {"result": result_text(outcome)}


def _check_arguments(calls: Sequence[WebhookToolCall], outcomes: Sequence[Outcome]) -> None:
    details = [
        {"type": outcome.code.lower(), "loc": [*call.where, "arguments"], "msg": outcome.speech}
        for call, outcome in zip(calls, outcomes, strict=True)
        if status_of(outcome) == INVALID
    ]
    if details:
        raise NotAccepted(422, "unprocessable", "Invalid arguments.", details=details)
