"""What the agent claimed in a call, and which of it no tool had returned: a hallucination, whoever wrote the sentence.

Reads a finished conversation; whether a clause is borne out is `delivery.grounding`'s judgement. A clause that can't be read
at all is no proof of anything, so it is counted apart. Pure.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import msgspec

from agentvoicebox.delivery.claims import Kind
from agentvoicebox.delivery.clauses import cut
from agentvoicebox.delivery.facts import gather
from agentvoicebox.delivery.grounding import judge
from agentvoicebox.engine.jobs import ChatMessage
from agentvoicebox.interactions.interaction import Judgement, Line, ToolUse

# Reasons of a refusal that only say that words were not understood; every other one names a fact that is wrong or ungiven.
_UNREAD = frozenset({f"unsupported: {Kind.WORDS.value}", f"unsupported: {Kind.HEDGE.value}"})
_SILENT = frozenset({Kind.LINK, Kind.COURTESY, Kind.REQUEST, Kind.LIMIT, Kind.YES, Kind.NO, Kind.OF_COURSE})


class Finding(msgspec.Struct, frozen=True):
    """A clause that was said although no result bears it out.

    Attributes:
        line: its place in the transcript.
        clause: the words.
        reason: what is wrong with it, without any word of it.
    """

    line: int
    clause: str
    reason: str


class Reading(msgspec.Struct, frozen=True):
    """A whole conversation, read.

    Attributes:
        claims: how many facts were told.
        findings: those that are unfounded.
        unread: clauses whose meaning is not known here.
    """

    claims: int
    findings: tuple[Finding, ...]
    unread: tuple[Finding, ...]


def read_claims(transcript: Sequence[Line], tool_calls: Sequence[ToolUse], today: date) -> Reading:
    """Judge every line of the agent by what had been returned before it.

    Args:
        transcript: with words.
        tool_calls: each with its place in the transcript.
        today: the day of the call.
    """
    claims = 0
    findings: list[Finding] = []
    unread: list[Finding] = []
    for index, line in enumerate(transcript):
        if line.role != "agent" or not line.text:
            continue
        facts = gather(list(_before(transcript, tool_calls, index)), today)
        subject: str | None = None
        clauses = cut(line.text)
        if line.is_cut:
            clauses = clauses[:-1]  # half a clause claims nothing
        for clause in clauses:
            verdict = judge(clause, facts, subject)
            subject = verdict.subject
            claims += sum(each.kind not in _SILENT for each in verdict.claims) or not verdict.claims
            if not verdict.allowed:
                found = Finding(index, clause.strip(), verdict.reason)
                (unread if verdict.reason in _UNREAD else findings).append(found)
    return Reading(claims, tuple(findings), tuple(unread))


def judged(transcript: Sequence[Line], tool_calls: Sequence[ToolUse], today: date) -> Judgement:
    """The same without any word: what may be kept when words are not."""
    reading = read_claims(transcript, tool_calls, today)
    return Judgement(
        claims=reading.claims,
        unfounded=tuple(each.reason for each in reading.findings),
        unread=len(reading.unread),
    )


def _before(transcript: Sequence[Line], tool_calls: Sequence[ToolUse], index: int) -> Iterator[ChatMessage]:
    """The conversation up to a line, results in their places."""
    for place, line in enumerate(transcript[:index]):
        yield from _results(tool_calls, place)
        yield ChatMessage(
            "user" if line.role == "caller" else "assistant" if line.role == "agent" else "system", line.text
        )
    yield from _results(tool_calls, index)


def _results(tool_calls: Sequence[ToolUse], place: int) -> Iterator[ChatMessage]:
    for use in tool_calls:
        if use.line == place:
            yield ChatMessage("tool", use.output or '{"error":"tool_unavailable"}')
