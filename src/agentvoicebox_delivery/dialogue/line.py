"""A line of the caller with what was read from it, and the state it is said in."""

import re

import msgspec

from agentvoicebox_delivery.dialogue.chat import ChatTurn
from agentvoicebox_delivery.dialogue.look_ups import Tools
from agentvoicebox_delivery.dialogue.state import DialogueState
from agentvoicebox_delivery.dialogue.wants import Want
from agentvoicebox_delivery.numbers.tracking import Candidate

_COMPLETE = re.compile(
    r"\b(?:that's|that is|that was) (?:all|it|the whole|everything|the end|the number)\b|\b(?:nothing|no) more\b"
    r"|\bthe whole (?:number|thing)\b"
)


class CallerLine(msgspec.Struct, frozen=True):
    """A line.

    Attributes:
        turn: the line as it came.
        state: before it.
        tools: those offered.
        text: its words. A number that was typed after spoken words stands for all of them.
        is_typed: whether it was typed.
        want: what the caller wants, apart from a number.
        is_angry: whether it sounds angry.
        fresh: the whole numbers that it may hold, best first.
        fragment: the characters that it spells.
    """

    turn: ChatTurn
    state: DialogueState
    tools: Tools
    text: str
    is_typed: bool
    want: Want
    is_angry: bool
    fresh: list[Candidate]
    fragment: str

    @property
    def is_complete(self) -> bool:
        """Whether the caller says that the number has no more characters."""
        return _COMPLETE.search(self.text.lower().replace("\u2019", "'")) is not None
