"""The judge of recorded interactions: which statements of the agent no tool result supports. Each agent kit brings its own.

The port, and what the platform makes of a judge's answers. A judge is pure.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Protocol

import msgspec

from agentvoicebox.interactions.interaction import Interaction, Judgement, Line, ToolUse


class UnsupportedClause(msgspec.Struct, frozen=True):
    """A clause that no result supports.

    Attributes:
        line: its index in the transcript.
        clause: the words.
        reason: what is wrong with it, without any word of it.
    """

    line: int
    clause: str
    reason: str


class ClaimReport(msgspec.Struct, frozen=True):
    """A whole conversation, judged.

    Attributes:
        claims: how many facts were stated.
        findings: those that are unfounded.
        unread: clauses whose meaning the judge does not know.
    """

    claims: int
    findings: tuple[UnsupportedClause, ...]
    unread: tuple[UnsupportedClause, ...]


class InteractionJudge(Protocol):
    """Judges a finished conversation."""

    def read(self, transcript: Sequence[Line], tool_calls: Sequence[ToolUse], today: date) -> ClaimReport:
        """Judge every line of the agent by the results that came before it.

        Args:
            transcript: with words.
            tool_calls: each with its place in the transcript.
            today: the day of the call.
        """

    def reported(self, transcript: Sequence[Line], tool_calls: Sequence[ToolUse]) -> list[bool]:
        """For each result that the agent had time to report: whether it did."""

    def speech_faults(self, use: ToolUse, today: date) -> list[str]:
        """What is wrong with the sentence of a result, compared with its own data: reasons without a word of it."""

    def counts_claim(self, use: ToolUse) -> bool:
        """Whether a result states a fact (and not, say, that nothing was found)."""


def judge_call(
    judge: InteractionJudge, transcript: Sequence[Line], tool_calls: Sequence[ToolUse], today: date
) -> Judgement:
    """The judgement on a spoken call without any word of it: what may be kept when words are not."""
    reading = judge.read(transcript, tool_calls, today)
    reported = judge.reported(transcript, tool_calls)
    return Judgement(
        claims=reading.claims,
        unfounded=tuple(each.reason for each in reading.findings),
        unread=len(reading.unread),
        due=len(reported),
        told=sum(reported),
    )


def judge_webhook(judge: InteractionJudge, interaction: Interaction) -> Judgement:
    """The judgement on a webhook's answers: each sentence compared with the data that came with it."""
    today = day_of(interaction)
    faults = [fault for use in interaction.tool_calls for fault in judge.speech_faults(use, today)]
    return Judgement(claims=sum(judge.counts_claim(use) for use in interaction.tool_calls), unfounded=tuple(faults))


def day_of(interaction: Interaction) -> date:
    """The day on which it took place (UTC)."""
    return datetime.fromtimestamp(interaction.began_s, UTC).date()
