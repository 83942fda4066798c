"""The state of a dialogue, and the two possible actions of the agent.

Only data and the simplest transitions; `moves` and `caller_line` decide the others.
"""

from enum import Enum, auto
from typing import Any

import msgspec

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.parcels.tool_result import ToolResult

FORGOTTEN: dict[str, Any] = {"pieces": (), "tries": (), "ending": "", "refused": (), "is_refused": False}
"""Changes to a state after which the next number is a new one."""


class Say(msgspec.Struct, frozen=True):
    """Speak this line."""

    text: str


class ToolRequest(msgspec.Struct, frozen=True):
    """Call a tool and wait for its result. `arguments` is JSON-able."""

    name: str
    arguments: dict[str, Any]


Move = Say | ToolRequest


class Stage(Enum):
    """The stage of the conversation."""

    OPEN = auto()
    ASKED = auto()
    COLLECTING = auto()
    CONFIRMING = auto()
    CHOOSING = auto()
    ENDING = auto()
    FETCHING = auto()
    REPORTED = auto()
    FAILED = auto()
    ENDED = auto()


class DialogueState(msgspec.Struct, frozen=True):
    """The state after the conversation so far.

    Attributes:
        pieces: the caller's words for a number that is not complete yet.
        guess: the id under discussion.
        choices: ids that the caller is asked to choose from.
        tries: the caller's words for the number, for each time it was said completely.
        ending: their words for its last characters, when asked.
        refused: ids that the caller rejected.
        is_refused: whether the current look-up follows such a rejection.
        misses: lines in a row that were not understood.
        failures: look-ups in a row that found nothing.
        result: the last tool result worth repeating.
        said: the last line of ours.
        is_unheard: whether the caller heard nothing of it.
        was_cut: whether the caller interrupted it.
    """

    stage: Stage = Stage.OPEN
    pieces: tuple[str, ...] = ()
    guess: str = ""
    choices: tuple[str, ...] = ()
    tries: tuple[str, ...] = ()
    ending: str = ""
    refused: tuple[str, ...] = ()
    is_refused: bool = False
    misses: int = 0
    failures: int = 0
    result: ToolResult | None = None
    said: str = ""
    is_unheard: bool = False
    was_cut: bool = False


Step = tuple[DialogueState, Move]


def say(state: DialogueState, text: str, **changes: Any) -> Step:
    """Say a line; `changes` are fields of the state."""
    return msgspec.structs.replace(state, said=text, is_unheard=True, was_cut=False, **changes), Say(text)


def question(state: DialogueState) -> str:
    """The open question in this state."""
    match state.stage:
        case Stage.CONFIRMING | Stage.CHOOSING:
            return state.said
        case Stage.COLLECTING:
            return phrases.WHAT_COMES_NEXT
        case Stage.ENDING:
            return phrases.ASK_ENDING
        case Stage.REPORTED | Stage.FAILED:
            return phrases.ANYTHING_ELSE
    return phrases.ASK
