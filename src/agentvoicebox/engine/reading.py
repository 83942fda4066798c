"""What a response reads of the conversation, and whether the turns that it answers hold a word."""

from agentvoicebox.engine import rules
from agentvoicebox.engine.conversation import Entry, assistant_text
from agentvoicebox.engine.response import Interruption, LiveResponse
from agentvoicebox.engine.state import State
from agentvoicebox.turns.vocal_sounds import is_vocal_sound


def note_read(state: State) -> None:
    """A response of the conversation has read all that is in it."""
    state.unanswered = []
    for entry in state.conversation.entries:
        entry.is_read = True


def entries_to_read(state: State, response: LiveResponse) -> list[Entry]:
    """The items that a response reads: its own input, or the conversation without what no longer fits."""
    if response.input is None:
        return [entry for entry in state.conversation.entries if not entry.is_left_out]
    found = (state.conversation.find(each) if isinstance(each, str) else each for each in response.input)
    return [entry for entry in found if entry is not None]


def is_wordless(state: State, response: LiveResponse) -> bool:
    """Whether the turns that a response answers were coughs and hums, and the agent has nothing to say to them.

    Where they cut an answer, sounds that a recogniser writes down ("Mmm") are no words, and the answer goes on.
    """
    if response.turn_item_id is None or state.rules == rules.FIRST:
        return False
    turns = (state.conversation.find(item_id) for item_id in state.unanswered)
    texts = [entry.transcript or "" for entry in turns if entry is not None]
    cut = response.interruption
    if cut is not None and (cut.is_unwritten or unplayed(state, cut)):
        return all(map(is_vocal_sound, texts))
    return state.agent.answers_noise is False and not any(texts)


def unplayed(state: State, cut: Interruption) -> str:
    """The words of a cut answer that the caller did not hear."""
    words = []
    for item_id in cut.item_ids:
        entry = state.conversation.find(item_id)
        if entry is not None and entry.segment_spans:
            whole = " ".join(span.text for span in entry.segment_spans)
            played = len(assistant_text(entry))
            words.append(whole[played:].strip())
    return " ".join(text for text in (*words, cut.unsent) if text)
