"""The conversation as the dialogue reads it: the relevant lines, the parts that were heard, and the offered tool.

Small protocols, since the classes of the lines (`engine.jobs`) belong to the platform.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from agentvoicebox_delivery.parcels import tool_schema


class CallLine(Protocol):
    """A tool call in the conversation."""

    @property
    def call_id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """The tool."""

    @property
    def arguments(self) -> str:
        """JSON text."""


class ChatLine(Protocol):
    """One line of the conversation. `role` is `system`, `user`, `assistant` or `tool`."""

    @property
    def role(self) -> str:
        """The speaker."""

    @property
    def text(self) -> str:
        """The words; for the assistant those that the caller heard."""

    @property
    def tool_calls(self) -> Sequence[CallLine]:
        """Tool calls in this line."""

    @property
    def call_id(self) -> str | None:
        """For `tool`: the call it answers."""


class OfferedTool(Protocol):
    """A tool that may be called."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its JSON schema."""


def turns(messages: Sequence[ChatLine]) -> Iterator[tuple[str, str]]:
    """(role, text) of the relevant lines; user lines without a heard line between them are joined."""
    waiting: list[str] = []
    foreign_calls: set[str] = set()
    for line in messages:
        if line.role == "user":
            waiting.append(line.text)
            continue
        foreign_calls |= {
            call.call_id
            for call in line.tool_calls
            if call.name != tool_schema.NAME and "tracking_id" not in call.arguments
        }
        if line.role == "tool" and line.call_id in foreign_calls:
            continue
        is_heard = line.role == "assistant" and bool(line.text.strip())
        if line.role == "tool" or is_heard:
            if waiting:
                yield "user", " ".join(waiting)
                waiting = []
            yield line.role, line.text
    if waiting:
        yield "user", " ".join(waiting)


def find_tool(tools: Sequence[OfferedTool]) -> OfferedTool | None:
    """The look-up tool: the one with our name, or else the first that takes a `tracking_id`."""
    for tool in tools:
        if tool.name == tool_schema.NAME:
            return tool
    return next((tool for tool in tools if "tracking_id" in properties(tool)), None)


def properties(tool: OfferedTool) -> Mapping[str, Any]:
    """The tool's parameters by name."""
    found = tool.parameters.get("properties")
    return found if isinstance(found, Mapping) else {}
