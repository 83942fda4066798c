"""Finds what the agent promised to do and nothing did: the conversation went on, and no tool was called.

Works on finished conversations. `grounding/promises` reads the sentences, as it does before they are spoken. Pure.
"""

import re
from collections.abc import Iterator, Sequence

from agentvoicebox.interactions.interaction import Interaction, Line, ToolUse
from agentvoicebox.interactions.judge import UnsupportedClause
from agentvoicebox_delivery.evals.outcomes import HAND_OVER_TOOLS
from agentvoicebox_delivery.grounding.promises import Promise, promised

REASON = "promise"

_SENTENCE = re.compile(r"[^.!?;]+[.!?;]?")


def unkept(interaction: Interaction) -> list[UnsupportedClause]:
    """The sentences of an interaction with words that promise something which no tool call of the same turn does.

    A look-up that is announced before its result is kept; so is a call-back or a transfer by a tool for it.
    """
    lines = interaction.transcript
    found: list[UnsupportedClause] = []
    for first, last in _turns(lines):
        uses = [use for use in interaction.tool_calls if first <= use.line <= last]
        spoken = [(index, text) for index in range(first, last) for text in _sentences(lines[index])]
        for place, (index, text) in enumerate(spoken):
            is_last = place == len(spoken) - 1
            if _promises(text, uses, is_last=is_last):
                found.append(UnsupportedClause(index, text, REASON))
    return found


def _turns(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """Ranges of lines between the caller's, as (first, one past the last)."""
    first = 0
    for index, line in enumerate([*lines, None]):
        if line is None or line.role == "caller":
            if index > first:
                yield first, index
            first = index + 1


def _sentences(line: Line) -> list[str]:
    if line.role != "agent":
        return []
    return [text.strip() for text in _SENTENCE.findall(line.text) if text.strip()]


def _promises(text: str, uses: Sequence[ToolUse], *, is_last: bool) -> bool:
    if any(use.name in HAND_OVER_TOOLS and use.code not in ("UNAVAILABLE", "ERROR", "FAILED") for use in uses):
        return False
    match promised(text):
        case Promise.LOOK_UP:
            return is_last or not uses
        case Promise.DEED:
            return True
    return False
