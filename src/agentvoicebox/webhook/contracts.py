"""Types of the incoming messages, tolerant of what platforms send.

Nearly all fields are optional, unknown keys are ignored, and a field of the wrong type counts as absent: a platform adds fields
and nulls at any time, and a caller is waiting. The code that needs a field checks it, so that each fault has its own message.
`extract` chooses the list of tool calls; `vapi` answers the messages.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

T = TypeVar("T")

MOST_ITEMS = 128  # of a list; a model makes only a few calls at once


def _if(kind: type | tuple[type, ...], *, otherwise: Callable[[], Any] = lambda: None) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kind) and not isinstance(value, bool) else otherwise()


def _as_list(value: Any) -> list[Any]:
    """The objects among the first items of a list; a single object counts as a list of one."""
    items = value[:MOST_ITEMS] if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _id(value: Any) -> Any:
    """An id is opaque and is returned unchanged; a float, a boolean or an empty text is not an id."""
    return value if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


Text = Annotated[str | None, PlainValidator(_if(str))]
Id = Annotated[str | int | None, PlainValidator(_id)]
Moment = Annotated[int | float | str | None, PlainValidator(_if((int, float, str)))]
Maybe = Annotated[T | None, BeforeValidator(_if(dict))]
Items = Annotated[list[T], BeforeValidator(_as_list)]


class Lenient(BaseModel):
    """Base class; ignores unknown fields."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class FunctionPart(Lenient):
    """`function` of a tool call; also the legacy `functionCall`.

    Attributes:
        arguments, parameters: the call's arguments, of any type.
    """

    name: Text = None
    arguments: Any = None
    parameters: Any = None


class ToolCallPart(Lenient):
    """A tool call in any of its shapes.

    Attributes:
        tool_call_id: some senders write this instead of `id`.
    """

    id: Id = None
    tool_call_id: Id = Field(default=None, alias="toolCallId")
    name: Text = None
    function: Maybe[FunctionPart] = None
    arguments: Any = None
    parameters: Any = None


class ToolPart(Lenient):
    """A tool with its call. Its `parameters` are static and `function.parameters` is a schema, so neither is read."""

    name: Text = None
    function: Maybe[FunctionPart] = None
    tool_call: Maybe[ToolCallPart] = Field(default=None, alias="toolCall")


class CallPart(Lenient):
    """The phone call, or the chat, that a message belongs to."""

    id: Text = None


class WebhookMessage(Lenient):
    """A message of the platform.

    Attributes:
        type: any text; platforms often add new types.
        timestamp: epoch milliseconds or ISO 8601.
        function_call: of the legacy message `function-call`.
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
        """Id of the call or the chat; None if the message has neither."""
        return next((part.id for part in (self.call, self.chat) if part is not None and part.id), None)


class Envelope(Lenient):
    """The body of a webhook."""

    message: Maybe[WebhookMessage] = None


class WrappedArguments(Lenient):
    """The body of a kit's REST route, if it is not the arguments themselves.

    Attributes:
        args: the arguments; Retell sends them beside `name` and `call`.
    """

    args: Maybe[dict[str, Any]] = None
