"""Interprets one line of the caller in one state, and decides the next step: a number, or the cell of the table. Pure."""

import re

import msgspec

from agentvoicebox_delivery.dialogue.answers import offered_person, unheard
from agentvoicebox_delivery.dialogue.chat import ChatTurn
from agentvoicebox_delivery.dialogue.line import CallerLine
from agentvoicebox_delivery.dialogue.look_ups import Tools, fetch
from agentvoicebox_delivery.dialogue.number_line import about_a_number, is_rough_number
from agentvoicebox_delivery.dialogue.reported import meant
from agentvoicebox_delivery.dialogue.state import DialogueState, Stage, Step, say
from agentvoicebox_delivery.dialogue.table import answer_of
from agentvoicebox_delivery.dialogue.want_reading import is_angry, want_of
from agentvoicebox_delivery.dialogue.wants import Want
from agentvoicebox_delivery.numbers import tracking

_MIXED = re.compile(r"\b(?=[A-Za-z0-9-]*[A-Za-z])[A-Za-z0-9-]*\d{3}[A-Za-z0-9-]*\b")


def read_line(state: DialogueState, turn: ChatTurn, tools: Tools) -> CallerLine:
    """What a line says."""
    state = msgspec.structs.replace(state, has_typed=state.has_typed or bool(turn.typed))
    is_typed = bool(turn.typed) and (turn.typed == turn.text or bool(tracking.candidates(turn.typed)))
    text = turn.typed if is_typed else turn.text
    numbers = (_written(text) if is_typed else "") or text
    return CallerLine(
        turn,
        state,
        tools,
        text,
        is_typed,
        want_of(text),
        is_angry(text),
        tracking.candidates(numbers),
        tracking.fragment(numbers),
    )


def _written(text: str) -> str:
    """The one word of a typed line that is a number with letters and digits; "" where there is none, or several."""
    found = [word for word in _MIXED.findall(text) if tracking.is_certain(tracking.candidates(word))]
    return found[0] if len(found) == 1 else ""


def next_step(state: DialogueState, turn: ChatTurn, tools: Tools) -> Step:
    """The state after a line, and the answer to it."""
    line = read_line(state, turn, tools)
    state = line.state
    is_news = state.stage in (Stage.REPORTED, Stage.FAILED, Stage.CONFIRMING, Stage.CHOOSING)
    if state.is_unheard and is_news and not line.fresh and line.want is not Want.BYE:
        return say(
            state, state.said, offers_person=state.offers_person
        )  # the answer was interrupted before its first word
    if not line.text.strip():
        return unheard(line)
    state = msgspec.structs.replace(state, silences=0)
    line = msgspec.structs.replace(line, state=state)
    if state.offers_person and not line.fresh and (step := offered_person(line)) is not None:
        return step
    if state.stage is Stage.FETCHING and not line.fresh and line.want is not Want.BYE:
        return fetch(state, tools, state.guess)  # the result never came
    is_of_reported = bool(state.reported) and state.stage in (Stage.REPORTED, Stage.ENDED) and not line.fresh
    if line.want is not Want.LANGUAGE or line.fresh:
        is_meant = is_of_reported and bool(meant(state, line.text, line.fragment))
        if not is_meant and (step := about_a_number(line)) is not None:
            return step
    if (
        line.want is Want.BYE
        and is_rough_number(line)
        and not line.text.lower().startswith(("bye", "good", "no", "never", "forget"))
    ):
        line = msgspec.structs.replace(line, want=Want.OTHER)  # recognisers write "bye" for "five"
    return answer_of(line)(line)
