"""What the engine knows about the caller's present pause: evidence for the detector, which decides whether the turn is over.

Only reads the state. So a log gives the same effects whatever is read here, and a detector may use more of it at any time.
"""

import msgspec

from agentvoicebox.engine.conversation import assistant_text
from agentvoicebox.engine.response import LiveResponse, ResponsePhase
from agentvoicebox.engine.speculation import provisional_response
from agentvoicebox.engine.state import State
from agentvoicebox.engine.tool_call import CallPhase
from agentvoicebox.wire.items import MessageItem


class PauseFindings(msgspec.Struct, frozen=True):
    """What is known about one pause of the open turn.

    Attributes:
        speech_end_sample: which pause: just after the last voiced window. None: any, because the recogniser failed.
        is_answer_awaited: the recogniser's words, or the first sound of the answer, are still to come. False: the first sound
            lies ready, or none comes before the turn is over.
        question: what the agent said last, as far as it was heard; "" for nothing.
        tool_outputs: (name, output) of the tools that ran on the words of this pause, in order.
    """

    speech_end_sample: int | None
    is_answer_awaited: bool
    question: str = ""
    tool_outputs: tuple[tuple[str, str], ...] = ()


def pause_findings(state: State) -> PauseFindings | None:
    """What is known about the present pause; None while no turn that the detector ends is pausing."""
    turn = state.buffer.turn
    if turn is None or turn.is_manual:
        return None
    question = _question(state)
    if turn.failure is not None:
        return PauseFindings(None, is_answer_awaited=False, question=question)
    if turn.pause_sample is None:
        return None
    if turn.text is None or turn.text_end_sample != turn.pause_sample:
        return PauseFindings(turn.pause_sample, is_answer_awaited=True, question=question)
    response = provisional_response(state)
    if response is None:
        return PauseFindings(turn.pause_sample, is_answer_awaited=False, question=question)
    return PauseFindings(turn.pause_sample, _may_sound(response), question, _tool_outputs(response))


def _question(state: State) -> str:
    for entry in reversed(state.conversation.entries):
        if isinstance(entry.item, MessageItem) and entry.item.role == "assistant" and not entry.is_provisional:
            return assistant_text(entry)
    return ""


def _tool_outputs(response: LiveResponse) -> tuple[tuple[str, str], ...]:
    names = {call.call_id: call.name for message in response.tool_messages for call in message.tool_calls}
    results = (message for message in response.tool_messages if message.role == "tool")
    return tuple((names.get(each.call_id or "", ""), each.text) for each in results)


def _may_sound(response: LiveResponse) -> bool:
    """Whether a provisional response has no sound yet, and may get one before its turn is over."""
    if not response.has_audio or (response.message is not None and response.message.sent_samples > 0):
        return False
    if response.phase is ResponsePhase.SPEAKING:
        return not response.segment_queue.is_sent
    if any(call.is_owed_by_client for call in response.calls):
        return False  # its client sees the call at the end of the turn
    # A tool that changes the world starts at the end of the turn.
    return not any(call.has_effects and call.phase is CallPhase.WRITTEN for call in response.calls)
