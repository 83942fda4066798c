"""The state of a dialogue, and the two possible actions of the agent.

Only data and the simplest transitions; `moves`, `table` and `number_line` decide the others.
"""

from enum import Enum, auto
from typing import Any

import msgspec

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.numbers.readback import readback
from agentvoicebox_delivery.parcels import reply
from agentvoicebox_delivery.parcels.tool_result import ToolResult

FORGOTTEN: dict[str, Any] = {
    "pieces": (), "tries": (), "ending": "", "refused": (), "is_refused": False, "is_typed": False,
}  # fmt: skip
"""Changes to a state after which the next number is a new one."""
MOST_REPORTED = 8  # parcels that are remembered; a caller does not ask for more


class Say(msgspec.Struct, frozen=True):
    """Speak this line."""

    text: str


class ToolRequest(msgspec.Struct, frozen=True):
    """Call a tool and wait for its result. `arguments` is JSON-able."""

    name: str
    arguments: dict[str, Any]


Move = Say | ToolRequest


class Stage(Enum):
    """The stage of the conversation. Where several parcels were reported, `reported` says so."""

    OPEN = auto()
    ASKED = auto()
    COLLECTING = auto()
    CONFIRMING = auto()
    CHOOSING = auto()
    ENDING = auto()  # the last characters were asked for
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
        is_typed: whether every character of the number under discussion was typed.
        has_typed: whether the caller has typed anything in this call.
        queue: further numbers of the same line, as they were said, that are looked up next.
        report: what was found of that line's numbers, to be said with what is found next.
        misses: lines in a row that were not understood.
        silences: lines in a row without a word.
        failures: look-ups in a row that found nothing, or were not answered.
        reported: results of the parcels reported in this call, in the order in which they were first reported.
        about: id of the parcel reported or asked about last.
        offers_person: whether the caller was just asked if they want to be handed over.
        is_handing_over: whether the tool for that was called.
        people_asked: how often the caller asked for a person.
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
    is_typed: bool = False
    has_typed: bool = False
    queue: tuple[str, ...] = ()
    report: str = ""
    misses: int = 0
    silences: int = 0
    failures: int = 0
    reported: tuple[ToolResult, ...] = ()
    about: str = ""
    offers_person: bool = False
    is_handing_over: bool = False
    people_asked: int = 0
    said: str = ""
    is_unheard: bool = False
    was_cut: bool = False


Step = tuple[DialogueState, Move]


def say(state: DialogueState, text: str, **changes: Any) -> Step:
    """Say a line; `changes` are fields of the state."""
    fresh: dict[str, Any] = {"offers_person": False, "said": text, "is_unheard": True, "was_cut": False}
    return msgspec.structs.replace(state, **fresh | changes), Say(text)


def question(state: DialogueState) -> str:
    """The open question in this state."""
    match state.stage:
        case Stage.CONFIRMING:
            number = readback(state.guess)
            return phrases.did_you_mean(number) if state.is_typed else reply.confirm(state.guess)
        case Stage.CHOOSING:
            return reply.ambiguous(state.choices)
        case Stage.COLLECTING:
            return phrases.WHAT_COMES_NEXT
        case Stage.ENDING:
            return phrases.ASK_ENDING
        case Stage.REPORTED | Stage.FAILED:
            return phrases.ANYTHING_ELSE
        case Stage.ENDED if state.reported:
            return phrases.ANYTHING_ELSE
    return phrases.ASK


def remember(reported: tuple[ToolResult, ...], result: ToolResult) -> tuple[ToolResult, ...]:
    """The parcels reported, with one more, or with the newest result of one of them."""
    if any(each.tracking_id == result.tracking_id for each in reported):
        return tuple(result if each.tracking_id == result.tracking_id else each for each in reported)
    return (*reported, result)[-MOST_REPORTED:]
