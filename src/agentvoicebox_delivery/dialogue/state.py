"""Where a conversation stands, and the two things that the agent can do next.

Only data and the smallest steps over it; what leads from one state to another is decided in `dialogue` and `caller_line`.
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


class CallTool(msgspec.Struct, frozen=True):
    """Call a tool and wait for its result. `arguments` is JSON-able."""

    name: str
    arguments: dict[str, Any]


Move = Say | CallTool


class Stage(Enum):
    """Where in the conversation we are."""

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


class State(msgspec.Struct, frozen=True):
    """What the conversation so far comes to.

    Attributes:
        pieces: what the caller said of a number that isn't whole yet.
        guess: the id under discussion.
        choices: ids between which the caller is to choose.
        tries: the caller's words for the number, each time it was said whole.
        ending: their words for its last characters, when asked.
        refused: ids that the caller said no to.
        is_refused: whether the look-up under way follows such a no.
        misses: lines in a row that were not understood.
        failures: look-ups in a row that found nothing.
        result: the last tool result worth repeating.
        said: the last line of ours.
        is_unheard: whether nothing of it reached the caller.
        was_cut: whether the caller broke into it.
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


Step = tuple[State, Move]


def say(state: State, text: str, **changes: Any) -> Step:
    """Say a line; `changes` are of the state."""
    return msgspec.structs.replace(state, said=text, is_unheard=True, was_cut=False, **changes), Say(text)


def question(state: State) -> str:
    """What the caller is to answer in this state."""
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
