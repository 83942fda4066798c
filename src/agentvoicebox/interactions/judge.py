"""The judge of recorded interactions: finds statements of the agent that no tool result supports. Each agent kit has its own.

Contains the port, and the functions that turn a judge's answers into a `Judgement`. A judge is pure.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Protocol

import msgspec

from agentvoicebox.interactions.interaction import Interaction, Judgement, Line, ToolUse


class UnsupportedClause(msgspec.Struct, frozen=True):
    """A clause that no result supports.

    Attributes:
        line: index of the line in the transcript.
        clause: the words.
        reason: why it is not supported, without the agent's words. That of a promise ends in the word "promise".
    """

    line: int
    clause: str
    reason: str

    @property
    def is_promise(self) -> bool:
        """Whether the agent promised to do something."""
        return is_promise(self.reason)


class ClaimReport(msgspec.Struct, frozen=True):
    """The result for one conversation.

    Attributes:
        claims: number of stated facts.
        findings: clauses with an unsupported fact.
        unread: clauses that the judge can't parse.
    """

    claims: int
    findings: tuple[UnsupportedClause, ...]
    unread: tuple[UnsupportedClause, ...]


def is_promise(reason: str) -> bool:
    """Whether the reason of an unsupported clause says that it is a promise of the agent."""
    return reason.rpartition(" ")[2] == "promise"


class InteractionJudge(Protocol):
    """Checks a finished conversation."""

    def read(self, transcript: Sequence[Line], tool_calls: Sequence[ToolUse], today: date) -> ClaimReport:
        """Check every line of the agent against the results that came before it.

        Args:
            transcript: with words.
            tool_calls: each with its index in the transcript.
            today: the day of the call.
        """

    def reported(self, transcript: Sequence[Line], tool_calls: Sequence[ToolUse]) -> list[bool]:
        """For each result that the agent had time to report: whether it was reported."""

    def speech_faults(self, use: ToolUse, today: date) -> list[str]:
        """Errors in the sentence of a result, compared with the data of the same result; reasons without the words."""

    def counts_claim(self, use: ToolUse) -> bool:
        """Whether a result states a fact; "not found" is not one."""


def judge_call(
    judge: InteractionJudge, transcript: Sequence[Line], tool_calls: Sequence[ToolUse], today: date
) -> Judgement:
    """The judgement of a spoken call. It contains no words, so it may be stored when words are not."""
    reading = judge.read(transcript, tool_calls, today)
    reported = judge.reported(transcript, tool_calls)
    return Judgement(
        claims=reading.claims,
        unfounded=tuple(each.reason for each in reading.findings),
        unread=len(reading.unread),
        due=len(reported),
        reported=sum(reported),
    )


def judge_webhook(judge: InteractionJudge, interaction: Interaction) -> Judgement:
    """The judgement of a webhook's answers: each sentence is compared with the data of the same result."""
    today = day_of(interaction)
    faults = [fault for use in interaction.tool_calls for fault in judge.speech_faults(use, today)]
    return Judgement(claims=sum(judge.counts_claim(use) for use in interaction.tool_calls), unfounded=tuple(faults))


def knows_results(interaction: Interaction) -> bool:
    """Whether a recording has the results of tools, if there were any. One from the caller's side has none to judge by."""
    return bool(interaction.log or interaction.tool_calls or interaction.request is not None)


def day_of(interaction: Interaction) -> date:
    """The UTC day on which the interaction began."""
    return datetime.fromtimestamp(interaction.began_s, UTC).date()
