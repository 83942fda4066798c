"""What comes in, as types that tolerate what the field sends and refuse what can't be meant.

Nearly everything is optional, unknown keys are ignored, and a field of the wrong kind reads as absent: a platform adds fields
and nulls at any time, and a caller is waiting. What is required is checked by whoever needs it, so that each fault gets its own
words. Which list holds the tool calls is `extract`'s; what a message is answered, `vapi`'s.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

T = TypeVar("T")

MOST_ITEMS = 128  # of a list; a model asks for a handful of calls at once


def _if(kind: type | tuple[type, ...], *, otherwise: Callable[[], Any] = lambda: None) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kind) and not isinstance(value, bool) else otherwise()


def _as_list(value: Any) -> list[Any]:
    """The objects of a list's beginning; one object alone counts as a list of it."""
    items = value[:MOST_ITEMS] if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _id(value: Any) -> Any:
    """An id is opaque and echoed as it came; a fraction, a truth value or nothing is none."""
    return value if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


Text = Annotated[str | None, PlainValidator(_if(str))]
Id = Annotated[str | int | None, PlainValidator(_id)]
Moment = Annotated[int | float | str | None, PlainValidator(_if((int, float, str)))]
Maybe = Annotated[T | None, BeforeValidator(_if(dict))]
Items = Annotated[list[T], BeforeValidator(_as_list)]


class Lenient(BaseModel):
    """Ignores what it does not know."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class FunctionPart(Lenient):
    """`function` of a tool call; also the legacy `functionCall`.

    Attributes:
        arguments, parameters: the call's arguments, of any kind.
    """

    name: Text = None
    arguments: Any = None
    parameters: Any = None


class ToolCallPart(Lenient):
    """A tool call in any of its shapes.

    Attributes:
        tool_call_id: what some senders write instead of `id`.
    """

    id: Id = None
    tool_call_id: Id = Field(default=None, alias="toolCallId")
    name: Text = None
    function: Maybe[FunctionPart] = None
    arguments: Any = None
    parameters: Any = None


class ToolPart(Lenient):
    """A tool with its call. Its own `parameters` are the tool's static ones, and `function.parameters` is a schema: not read."""

    name: Text = None
    function: Maybe[FunctionPart] = None
    tool_call: Maybe[ToolCallPart] = Field(default=None, alias="toolCall")


class CallPart(Lenient):
    """The phone call, or the chat, that a message belongs to."""

    id: Text = None


class WebhookMessage(Lenient):
    """A message of the platform.

    Attributes:
        type: a free string; new ones appear often.
        timestamp: epoch milliseconds or ISO 8601.
        function_call: of the legacy `function-call`.
    """

    type: Text = None
    timestamp: Moment = None
    call: Maybe[CallPart] = None
    chat: Maybe[CallPart] = None
    tool_call_list: Items[ToolCallPart] = Field(default=[], alias="toolCallList")
    tool_calls: Items[ToolCallPart] = Field(default=[], alias="toolCalls")
    tools_with_calls: Items[ToolPart] = Field(default=[], alias="toolWithToolCallList")
    function_call: Maybe[FunctionPart] = Field(default=None, alias="functionCall")

    @property
    def conversation_id(self) -> str | None:
        """Of the call or the chat; None when the message names neither."""
        return next((part.id for part in (self.call, self.chat) if part is not None and part.id), None)


class Envelope(Lenient):
    """The body of a webhook."""

    message: Maybe[WebhookMessage] = None


class WrappedArguments(Lenient):
    """The body at a kit's REST address, where it isn't the arguments themselves.

    Attributes:
        args: the arguments, beside a `name` and a `call`, as Retell sends them.
    """

    args: Maybe[dict[str, Any]] = None
