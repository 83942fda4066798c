"""The answer that is prepared at a pause: a provisional response to text that may be the whole turn.

The end of the turn makes it certain; resumed speech, or a client event that changes the conversation, drops it.
"""

from agentvoicebox.engine import answering, rules
from agentvoicebox.engine.conversation import Entry
from agentvoicebox.engine.response import LiveResponse
from agentvoicebox.engine.state import State
from agentvoicebox.engine.step import Step
from agentvoicebox.engine.turn import Turn
from agentvoicebox.turns.vocal_sounds import is_vocal_sound
from agentvoicebox.wire.items import InputAudio, MessageItem


def begin(state: State, step: Step, turn: Turn, text: str) -> None:
    """Start a provisional response to text that may be the whole turn."""
    detection = state.config.turn_detection
    if (
        state.config.type != "realtime"
        or detection is None
        or not detection.create_response
        or state.active is not None
        or state.conversation.awaits_transcript()
        or state.is_notice_due
        or (state.interruption is not None and state.rules > rules.FIRST and is_vocal_sound(text))
    ):
        return
    item = MessageItem(id=turn.item_id, role="user", content=(InputAudio(transcript=text),))
    state.conversation.add(Entry(item, transcript=text, is_provisional=True))
    answering.start(state, step, state.config, question_item_id=turn.item_id)


def drop(state: State, step: Step) -> None:
    """Drop the provisional response, if any, and the provisional item it answers."""
    response = provisional_response(state)
    if response is None:
        return
    answering.drop(state, step, response)
    state.conversation.entries = [e for e in state.conversation.entries if not e.is_provisional]


def provisional_response(state: State) -> LiveResponse | None:
    """The response to text that may be the whole turn, or None."""
    return next((r for r in state.responses.values() if r.is_provisional), None)
