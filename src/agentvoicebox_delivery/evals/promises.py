"""Finds what the agent promised to do and nothing did: the conversation went on, and no tool was called.

Works on finished conversations, on sentences of any wording; `grounding` decides what may be said in the first place. Pure.
"""

import re
from collections.abc import Iterator, Sequence

from agentvoicebox.interactions.interaction import Interaction, Line, ToolUse
from agentvoicebox.interactions.judge import UnsupportedClause
from agentvoicebox_delivery.evals.outcomes import HAND_OVER_TOOLS

REASON = "promise"

_WILL = r"(?:'ll| will| shall|(?:'m|'re| am| are|'s| is) going to)"
# What is done by saying it, and what the agent asks for.
_BY_SAYING_IT = frozenset({
    "need", "be", "have", "not", "never", "wait", "repeat", "read", "say", "spell", "ask", "tell",
    "start", "stop", "speak", "slow", "go", "keep", "understand", "just", "take",
})  # fmt: skip
_LOOKS = frozenset(("look", "check", "find", "see", "search", "try", "pull", "get", "track"))
_MESSAGES = (
    r"(?:call|ring|phone|contact|e-?mail|text|message|notify|update|inform|get back|reach out|be in touch|let you know|arrange"
    r"|take care|sort|fix|resolve|investigate|deliver it|bring)"
)
_OWN = re.compile(rf"\b(?:i|we){_WILL} (?:be )?(?P<verb>[a-z-]+)")
_OF_OTHERS = re.compile(
    rf"\b(?:someone|somebody|they|(?:a|the|our|your|my) (?:colleague|team|driver|courier|carrier|sender|manager|agent)s?){_WILL}"
    rf" (?:be )?{_MESSAGES}"
)
_TO_THE_CALLER = re.compile(rf"\byou{_WILL} (?:get|receive|hear|be (?:called|contacted|notified|refunded))\b")
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
    plain = text.lower().replace("\u2019", "'")
    if any(use.name in HAND_OVER_TOOLS and use.code not in ("UNAVAILABLE", "ERROR", "FAILED") for use in uses):
        return False
    own = _OWN.search(plain)
    if own and own["verb"] in _LOOKS:
        return is_last or not uses
    if own and own["verb"] not in _BY_SAYING_IT:
        return True
    return bool(_OF_OTHERS.search(plain) or _TO_THE_CALLER.search(plain))
