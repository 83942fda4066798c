"""The tool calls of a message from all its lists, each id once.

Decides the precedence of the lists: `toolCallList`, `toolCalls`, `toolWithToolCallList[].toolCall`, `functionCall`. A later list
only adds what an earlier one lacks.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from agentvoicebox.webhook.contracts import FunctionPart, ToolCallPart, WebhookMessage


class WebhookToolCall(msgspec.Struct, frozen=True):
    """A tool call that can be answered.

    Attributes:
        id: returned unchanged in the answer; None for a legacy function call.
        name: "" if there is none.
        arguments: of any type, unchanged.
        where: path of the call in the message, for a 422.
    """

    id: str | int | None
    name: str
    arguments: Any
    where: tuple[str | int, ...]


class Extracted(msgspec.Struct, frozen=True):
    """The tool calls of a message.

    Attributes:
        calls: the calls with an id, in order.
        nameless: number of calls without an id.
    """

    calls: tuple[WebhookToolCall, ...]
    nameless: int


def tool_calls(message: WebhookMessage) -> Extracted:
    """The calls of a `tool-calls` message."""
    found: dict[tuple[type, str | int], WebhookToolCall] = {}
    nameless = 0
    for part, name, where in _items(message):
        call_id = part.id if part.id is not None else part.tool_call_id
        if call_id is None:
            nameless += 1
            continue
        call = WebhookToolCall(call_id, _name(part) or name or "", _arguments(part), where)
        known = found.setdefault((type(call_id), call_id), call)
        if known is not call:
            found[type(call_id), call_id] = msgspec.structs.replace(
                known,
                name=known.name or call.name,
                arguments=call.arguments if known.arguments is None else known.arguments,
            )
    return Extracted(tuple(found.values()), nameless)


def function_call(message: WebhookMessage) -> WebhookToolCall | None:
    """The call of a legacy `function-call` message; None if there is none."""
    part = message.function_call
    if part is None:
        return None
    arguments = part.parameters if part.parameters is not None else part.arguments
    return WebhookToolCall(None, part.name or "", arguments, ("body", "message", "functionCall"))


def _items(message: WebhookMessage) -> Iterator[tuple[ToolCallPart, str | None, tuple[str | int, ...]]]:
    """Each item with the name from its wrapper and its path in the message."""
    for index, part in enumerate(message.tool_call_list):
        yield part, None, ("body", "message", "toolCallList", index)
    for index, part in enumerate(message.tool_calls):
        yield part, None, ("body", "message", "toolCalls", index)
    for index, tool in enumerate(message.tools_with_calls):
        if tool.tool_call is not None:
            wrapper = tool.name or (tool.function.name if tool.function else None)
            yield tool.tool_call, wrapper, ("body", "message", "toolWithToolCallList", index, "toolCall")


def _name(part: ToolCallPart) -> str | None:
    return (part.function.name if part.function else None) or part.name


def _arguments(part: ToolCallPart) -> Any:
    function = part.function or FunctionPart()
    given = (function.arguments, function.parameters, part.arguments, part.parameters)
    return next((each for each in given if each is not None), None)
