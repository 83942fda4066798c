"""The conversation as the dialogue reads it: the relevant lines, the parts that were heard, and the offered tool.

Small protocols, since the classes of the lines (`engine.jobs`) belong to the platform.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Protocol

import msgspec
from msgspec import UnsetType

from agentvoicebox_delivery.dialogue import hand_over
from agentvoicebox_delivery.parcels import tool_schema

TRANSFER = "transfer_call"  # of a telephone line


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

    @property
    def is_typed(self) -> bool | UnsetType:
        """Whether the caller typed it; anything but True: it was spoken."""


class OfferedTool(Protocol):
    """A tool that may be called."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its JSON schema."""


class ChatTurn(msgspec.Struct, frozen=True):
    """A line, or several of the caller's that follow each other.

    Attributes:
        role: `user`, `assistant` or `tool`.
        text: all its words.
        typed: of the caller: what was typed after the last spoken word; "" where nothing was.
        tool: of a result: the name of the tool.
    """

    role: str
    text: str
    typed: str = ""
    tool: str = ""


def turns(messages: Sequence[ChatLine]) -> Iterator[ChatTurn]:
    """The relevant lines; user lines without a heard line between them are joined."""
    waiting: list[ChatLine] = []
    foreign_calls: set[str] = set()
    names: dict[str, str] = {}
    for line in messages:
        if line.role == "user":
            waiting.append(line)
            continue
        foreign_calls |= {
            call.call_id
            for call in line.tool_calls
            if call.name not in (tool_schema.NAME, hand_over.NAME) and "tracking_id" not in call.arguments
        }
        names |= {call.call_id: call.name for call in line.tool_calls}
        if line.role == "tool" and line.call_id in foreign_calls:
            continue
        is_heard = line.role == "assistant" and bool(line.text.strip())
        if line.role == "tool" or is_heard:
            if waiting:
                yield _joined(waiting)
                waiting = []
            yield ChatTurn(line.role, line.text, tool=names.get(line.call_id or "", ""))
    if waiting:
        yield _joined(waiting)


def _joined(lines: Sequence[ChatLine]) -> ChatTurn:
    worded = [line for line in lines if line.text.strip()]  # a cough is a line, too
    typed = [line.text for line in takewhile(lambda line: line.is_typed is True, reversed(worded))]
    return ChatTurn("user", " ".join(line.text for line in worded), " ".join(reversed(typed)))


def find_look_up(tools: Sequence[OfferedTool]) -> OfferedTool | None:
    """The look-up tool: the one with our name, or else the first that takes a `tracking_id`."""
    for tool in tools:
        if tool.name == tool_schema.NAME:
            return tool
    others = (tool for tool in tools if tool.name != hand_over.NAME)
    return next((tool for tool in others if "tracking_id" in properties(tool)), None)


def find_hand_over(tools: Sequence[OfferedTool]) -> OfferedTool | None:
    """The tool that hands the caller over to a person: ours, or else that of the caller's line."""
    named = {tool.name: tool for tool in tools}
    return named.get(hand_over.NAME) or named.get(TRANSFER)


def properties(tool: OfferedTool) -> Mapping[str, Any]:
    """The tool's parameters by name."""
    found = tool.parameters.get("properties")
    return found if isinstance(found, Mapping) else {}
