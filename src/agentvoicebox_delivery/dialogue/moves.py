"""The deterministic delivery agent: need → confirm → fetch → report → fallback, as a function of the conversation.

`next_move` reads the whole conversation each time and folds it through one small state machine, so that a restarted worker,
another gateway or a replay gives the same. It trusts the caller's lines and the tool's results; of its own earlier
lines it only checks whether the caller heard them completely. Every fact in a line comes from a tool result. `caller_line`
decides what follows from a caller's line.
"""

from collections.abc import Sequence

import msgspec

from agentvoicebox_delivery.dialogue import phrases
from agentvoicebox_delivery.dialogue.caller_line import CallerLine
from agentvoicebox_delivery.dialogue.chat import ChatLine, OfferedTool, find_tool, turns
from agentvoicebox_delivery.dialogue.state import (
    FORGOTTEN,
    DialogueState,
    Move,
    Say,
    Stage,
    Step,
    ToolRequest,
    question,
    say,
)
from agentvoicebox_delivery.numbers.carriers import is_unfinished
from agentvoicebox_delivery.numbers.readback import readback
from agentvoicebox_delivery.numbers.tracking import SHORTEST
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.tool_result import ToolResult, read

__all__ = ["Move", "Say", "ToolRequest", "next_move"]

LONG = 9  # from this length on, asking for the last four characters helps more than repeating all


def next_move(messages: Sequence[ChatLine], tools: Sequence[OfferedTool]) -> Move:
    """The next line, or the tool call to make, after `messages`.

    Args:
        messages: the conversation from its start; our interrupted lines hold only the part that was heard.
        tools: the available tools; without the look-up tool the agent says that it can't look up parcels.
    """
    tool = find_tool(tools)
    state, move = say(DialogueState(), phrases.GREETING)
    is_due = True  # whether the last line is the caller's
    for role, text in turns(messages):
        if role == "assistant":
            state, is_due = _after_line(state, text), False
            continue
        is_due = True
        state, move = _step_result(state, read(text)) if role == "tool" else CallerLine(state, text, tool).next_step()
    return move if is_due else _ask_again(state)


def _after_line(state: DialogueState, text: str) -> DialogueState:
    said, heard = state.said.split(), text.split()
    was_cut = len(heard) < len(said) and heard[:-1] == said[: max(0, len(heard) - 1)]
    return msgspec.structs.replace(state, is_unheard=False, was_cut=was_cut)


def _ask_again(state: DialogueState) -> Move:
    """The caller said nothing new: ask again, with the open question."""
    if state.stage in (Stage.REPORTED, Stage.FAILED, Stage.ENDED):
        return Say(phrases.STILL_THERE)
    return Say(f"{phrases.STILL_THERE} {question(state)}")


def _step_result(state: DialogueState, result: ToolResult) -> Step:
    state = msgspec.structs.replace(state, misses=0, choices=())
    match result.code:
        case track.CONFIRM if result.tracking_id:
            return say(state, result.speech, stage=Stage.CONFIRMING, guess=result.tracking_id)
        case track.AMBIGUOUS if result.choices:
            return say(state, result.speech, stage=Stage.CHOOSING, choices=result.choices)
        case track.NOT_FOUND | track.INVALID_ID | track.INVALID_ARGUMENTS:
            return _not_found(state, result)
        case track.UNAVAILABLE | track.ERROR | track.UNKNOWN_TOOL:
            return say(state, result.speech, stage=Stage.FAILED, pieces=(), failures=0)
    line = f"{result.speech} {phrases.ANYTHING_ELSE}"
    return say(state, line, stage=Stage.REPORTED, failures=0, result=result, **FORGOTTEN)


def _not_found(state: DialogueState, result: ToolResult) -> Step:
    """No parcel was found: ask for the number in another way, three times at most."""
    is_part = (
        (is_unfinished(state.guess) or len(state.guess) < SHORTEST) and not state.is_refused and bool(state.pieces)
    )
    if state.tries and is_part and not state.failures:
        line = phrases.so_far(readback(state.guess))
        return say(state, line, stage=Stage.COLLECTING, tries=state.tries[:-1])
    failures = state.failures + 1
    if failures >= len(phrases.AFTER_FAILURE):
        return say(state, phrases.CANT_FIND, stage=Stage.ENDED, failures=0, **FORGOTTEN)
    opening = phrases.SORRY if state.is_refused else result.speech
    pieces = (state.guess,) if state.guess and not state.tries else ()
    if state.tries and failures == 1 and len(state.guess) >= LONG:
        return say(state, f"{opening} {phrases.ASK_ENDING}", stage=Stage.ENDING, pieces=(), failures=failures)
    ask = phrases.SAY_SLOWLY if state.is_refused and failures == 1 else phrases.AFTER_FAILURE[failures]
    return say(state, f"{opening} {ask}", stage=Stage.ASKED, pieces=pieces, failures=failures)
