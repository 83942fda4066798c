"""The judge of recorded calls: which days, times and doctors the agent named that no tool had returned. Pure."""

from collections.abc import Sequence
from datetime import date

from agentvoicebox.interactions.interaction import Line, ToolUse
from agentvoicebox.interactions.judge import ClaimReport, UnsupportedClause
from agentvoicebox_clinic.facts import facts_in, facts_of, read, reason, sentences, unsupported


class AppointmentJudge:
    """Implements interactions.judge.InteractionJudge."""

    def read(self, transcript: Sequence[Line], tool_calls: Sequence[ToolUse], today: date) -> ClaimReport:
        """See InteractionJudge."""
        claims, findings = 0, []
        for index, line in enumerate(transcript):
            if line.role != "agent":
                continue
            outputs = [use.output for use in tool_calls if use.line <= index]
            for sentence in sentences(line.text)[: -1 if line.is_cut else None]:
                claims += len(facts_in(sentence))
                if wrong := unsupported(sentence, outputs):
                    findings.append(UnsupportedClause(index, sentence, reason(wrong)))
        return ClaimReport(claims, tuple(findings), ())

    def reported(self, transcript: Sequence[Line], tool_calls: Sequence[ToolUse]) -> list[bool]:
        """See InteractionJudge: the day must be reported, and that an appointment is cancelled."""
        found = []
        for place, use in enumerate(tool_calls):
            end = tool_calls[place + 1].line if place + 1 < len(tool_calls) else len(transcript)
            answers = [line for line in transcript[use.line : end] if line.role == "agent" and line.text]
            wanted = {fact for fact in facts_of(use.output) if fact[0] in ("day", "state")}
            if wanted and answers and not answers[0].is_cut:
                found.append(wanted <= facts_in(" ".join(line.text for line in answers)))
        return found

    def speech_faults(self, use: ToolUse, today: date) -> list[str]:
        """See InteractionJudge."""
        wrong = unsupported(str(read(use.output).get("speech", "")), [use.output])
        return [reason(wrong)] if wrong else []

    def counts_claim(self, use: ToolUse) -> bool:
        """See InteractionJudge."""
        return bool(facts_of(use.output))
