"""The judge of recorded interactions about parcels: finds unsupported claims of the agent, and results that it did not report.

Reads a finished conversation; `grounding.judgement` decides whether a clause is supported. The facts of a result are its data,
not its sentence, so that wrong wording of a tool is also found. A clause that can't be parsed and names no person or thing
proves nothing, so it is counted separately. Pure.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import msgspec

from agentvoicebox.engine.jobs import ChatMessage
from agentvoicebox.interactions.interaction import Line, ToolUse
from agentvoicebox.interactions.judge import ClaimReport, UnsupportedClause
from agentvoicebox_delivery.dialogue import phrases, topics
from agentvoicebox_delivery.grounding.claims import ClaimKind, ClauseClaim, claims
from agentvoicebox_delivery.grounding.clause_checker import PROMISED
from agentvoicebox_delivery.grounding.clauses import cut, normal, words
from agentvoicebox_delivery.grounding.facts import Facts, gather
from agentvoicebox_delivery.grounding.judgement import judge
from agentvoicebox_delivery.grounding.statements import STATES
from agentvoicebox_delivery.numbers.lexicon import NATO
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.tool_result import read

# Refusal reasons that only mean unknown words; every other reason is about a wrong or missing fact.
_UNREAD = frozenset({f"unsupported: {ClaimKind.WORDS.value}", f"unsupported: {ClaimKind.HEDGE.value}"})
_SILENT = frozenset(
    {
        ClaimKind.LINK,
        ClaimKind.NEUTRAL,
        ClaimKind.COURTESY,
        ClaimKind.REQUEST,
        ClaimKind.LIMIT,
        ClaimKind.YES,
        ClaimKind.NO,
        ClaimKind.OF_COURSE,
    }
)
# The dialogue's own questions and courtesies; none of them states anything about a parcel.
_OWN = frozenset(
    normal(clause)
    for value in (*vars(phrases).values(), topics.SENTENCES)
    for line in (value if isinstance(value, tuple) else (value,))
    if isinstance(line, str)
    for clause in cut(line)
)
_ABOUT_IT = frozenset({"it", "they", "your", "the", "that", "this", "he", "she", "somebody", "someone"})


class ParcelJudge:
    """Implements interactions.judge.InteractionJudge."""

    def read(self, transcript: Sequence[Line], tool_calls: Sequence[ToolUse], today: date) -> ClaimReport:
        """See InteractionJudge."""
        return read_claims(transcript, tool_calls, today)

    def reported(self, transcript: Sequence[Line], tool_calls: Sequence[ToolUse]) -> list[bool]:
        """See InteractionJudge. For a parcel the agent must report its state; for a failure, that it is one."""
        return results_reported(transcript, tool_calls)

    def speech_faults(self, use: ToolUse, today: date) -> list[str]:
        """See InteractionJudge."""
        return speech_faults(use, today)

    def counts_claim(self, use: ToolUse) -> bool:
        """See InteractionJudge."""
        return use.code == track.FOUND


def read_claims(transcript: Sequence[Line], tool_calls: Sequence[ToolUse], today: date) -> ClaimReport:
    """Check every line of the agent against the results returned before it.

    Args:
        transcript: with words.
        tool_calls: each with its index in the transcript.
        today: the day of the call.
    """
    count = 0
    findings: list[UnsupportedClause] = []
    unread: list[UnsupportedClause] = []
    for index, line in enumerate(transcript):
        if line.role != "agent" or not line.text:
            continue
        facts = gather(list(_before(transcript, tool_calls, index)), today)
        subject: str | None = None
        clauses = cut(line.text)
        if line.is_cut:
            clauses = clauses[:-1]  # an incomplete clause states nothing
        for clause in clauses:
            if normal(clause) in _OWN:
                continue
            verdict = judge(clause, facts, subject)
            subject = verdict.subject
            found_claims = list(claims(clause, facts.names))
            count += sum(each.kind not in _SILENT for each in found_claims)
            if verdict.reason == PROMISED and _is_kept(line, index, tool_calls, facts):
                continue
            if not verdict.allowed:
                found = UnsupportedClause(index, clause.strip(), verdict.reason)
                is_unread = verdict.reason in _UNREAD and not _states_something(clause, found_claims)
                (unread if is_unread else findings).append(found)
    return ClaimReport(count, tuple(findings), tuple(unread))


def _is_kept(line: Line, index: int, tool_calls: Sequence[ToolUse], facts: Facts) -> bool:
    """Whether the agent does what it announces: a tool call follows, or it asks for the number that it needs."""
    needs_number = facts.latest is None or facts.latest.shipment is None
    return any(use.line == index + 1 for use in tool_calls) or (needs_number and line.text.rstrip().endswith("?"))


def _states_something(clause: str, found: Sequence[ClauseClaim]) -> bool:
    """Whether a clause that can't be parsed completely still states a fact: a known one, a name, a number, or one about "it"."""
    if any(each.kind not in _SILENT and each.kind not in (ClaimKind.WORDS, ClaimKind.HEDGE) for each in found):
        return True
    spoken = words(clause)
    if spoken and spoken[0].low in _ABOUT_IT:
        return True
    return any(
        word.low.isnumeric() or (word.is_capital and len(word.low) > 1 and word.low not in NATO) for word in spoken[1:]
    )


def results_reported(transcript: Sequence[Line], tool_calls: Sequence[ToolUse]) -> list[bool]:
    """For each result that the agent had time to report: whether it did.

    A result is due once a line of the agent follows it that was not interrupted.
    """
    found: list[bool] = []
    for place, use in enumerate(tool_calls):
        until = min((each.line for each in tool_calls[place + 1 :] if each.line > use.line), default=len(transcript))
        answers = [line for line in transcript[use.line : until] if line.role == "agent" and line.text]
        wanted = _wanted(use)
        if wanted is None or not answers or answers[0].is_cut:
            continue
        facts = gather([_result(use)], date.min)
        said = [claim for line in answers for clause in cut(line.text) for claim in claims(clause, facts.names)]
        found.append(any(_reports(claim, wanted, use) for claim in said))
    return found


def _wanted(use: ToolUse) -> ClaimKind | None:
    match use.code:
        case track.FOUND if read(use.output).shipment is not None:
            return ClaimKind.STATE
        case track.NOT_FOUND:
            return ClaimKind.NOT_FOUND
        case track.UNAVAILABLE | track.ERROR | "FAILED":
            return ClaimKind.OUTAGE
    return None


def _reports(claim: ClauseClaim, wanted: ClaimKind, use: ToolUse) -> bool:
    if claim.kind is not wanted:
        return False
    shipment = read(use.output).shipment
    if wanted is not ClaimKind.STATE or shipment is None:
        return True
    return not claim.is_denied and shipment.status in STATES[claim.state][1]


def _before(transcript: Sequence[Line], tool_calls: Sequence[ToolUse], index: int) -> Iterator[ChatMessage]:
    """The conversation up to a line, with the results in their places."""
    for place, line in enumerate(transcript[:index]):
        yield from (_result(use) for use in tool_calls if use.line == place)
        role = {"caller": "user", "agent": "assistant"}.get(line.role, "system")
        yield ChatMessage(role, line.text)
    yield from (_result(use) for use in tool_calls if use.line == index)


def _result(use: ToolUse) -> ChatMessage:
    """A result as `facts` reads it; the sentence is left out if the result has a parcel's data."""
    output = use.output or '{"error":"tool_unavailable"}'
    if use.code == track.FOUND and read(output).shipment is not None:
        answer = msgspec.json.decode(output.encode())
        answer.pop("speech", None)
        output = msgspec.json.encode(answer).decode()
    return ChatMessage("tool", output)


def speech_faults(use: ToolUse, today: date) -> list[str]:
    """Errors in the sentence of a result, checked against its own data: reasons without a word of it."""
    result = read(use.output) if use.output else None
    if result is None or use.code != track.FOUND or result.shipment is None:
        return []
    lines = [Line(role="agent", text=result.speech)]
    return [each.reason for each in read_claims(lines, [msgspec.structs.replace(use, line=0)], today).findings]
