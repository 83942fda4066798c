"""The deterministic delivery agent: need → confirm → fetch → report → fallback, as a function of the conversation.

`next_move` reads the whole conversation each time and folds it through one small state machine, so that a restarted worker,
another gateway or a replay gives the same. It trusts the caller's lines and the tool's results; of its own earlier
lines it only checks whether the caller heard them completely. Every fact in a line comes from a tool result, and so does the day
on which it is said. `caller_line` decides what follows from a caller's line.
"""

from collections.abc import Sequence

import msgspec

from agentvoicebox_delivery.dialogue import hand_over, phrases
from agentvoicebox_delivery.dialogue.caller_line import next_step
from agentvoicebox_delivery.dialogue.chat import ChatLine, OfferedTool, find_hand_over, find_look_up, turns
from agentvoicebox_delivery.dialogue.look_ups import Tools
from agentvoicebox_delivery.dialogue.results import step_result
from agentvoicebox_delivery.dialogue.state import DialogueState, Move, Say, Stage, Step, ToolRequest, question, say

__all__ = ["Move", "Say", "ToolRequest", "next_move"]


def next_move(messages: Sequence[ChatLine], tools: Sequence[OfferedTool]) -> Move:
    """The next line, or the tool call to make, after `messages`.

    Args:
        messages: the conversation from its start; our interrupted lines hold only the part that was heard.
        tools: the available tools; without the look-up tool the agent says that it can't look up parcels.
    """
    offered = Tools(find_look_up(tools), find_hand_over(tools))
    state, move = say(DialogueState(), phrases.GREETING)
    is_due = True  # whether the last line is the caller's
    for turn in turns(messages):
        is_due = turn.role != "assistant"
        match turn.role:
            case "assistant":
                state = _after_line(state, turn.text)
            case "tool" if turn.tool == hand_over.NAME:
                state, move = _handed_over(state, turn.text)
            case "tool":
                state, move = step_result(state, turn.text, offered)
            case _:
                state, move = next_step(state, turn, offered)
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


def _handed_over(state: DialogueState, output: str) -> Step:
    """The caller was handed over, or no person could be reached."""
    try:
        answer = msgspec.json.decode(output.encode())
    except msgspec.DecodeError:
        answer = {}
    found = answer if isinstance(answer, dict) else {}
    state = msgspec.structs.replace(state, is_handing_over=False)
    if found.get("code") != hand_over.OK:
        line = f"{phrases.NO_COLLEAGUE} {phrases.ASK_CARRIER} {question(state)}"
        return say(state, line, stage=Stage.REPORTED if state.reported else Stage.ASKED)
    line = phrases.WILL_BE_CALLED if found.get("kind") == "callback" else phrases.TRANSFERRED
    return say(state, line, stage=Stage.ENDED)
