"""Hallucinations: facts that the agent stated without a tool result. There must be none."""

from collections.abc import Sequence

from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.metric import Metric, Scored, ScoreFault
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.interactions.judge import day_of, knows_results


def score(interactions: Sequence[Interaction], choice: KitChoice) -> Scored:
    """`hallucination.count` over all claims, and `hallucination.unread`: clauses that the judge can't parse.

    Recorded words are judged now, by the present rules; otherwise the recorded judgement counts. Calls that were recorded
    from the caller's side, without results of tools, are left out.
    """
    claims = unread = 0
    faults: list[ScoreFault] = []
    for interaction in interactions:
        if not knows_results(interaction):
            continue
        reasons: list[str]
        judge = choice.judge(interaction)
        if judge is not None and interaction.has_words and interaction.transcript:
            reading = judge.read(interaction.transcript, interaction.tool_calls, day_of(interaction))
            claims, unread = claims + reading.claims, unread + len(reading.unread)
            reasons = [f"{each.reason}: “{each.clause}”" for each in reading.findings]
        elif judge is not None and interaction.has_words:
            today = day_of(interaction)
            claims += len(interaction.tool_calls)
            reasons = [reason for use in interaction.tool_calls for reason in judge.speech_faults(use, today)]
        elif interaction.judgement is not None:
            claims, unread = claims + interaction.judgement.claims, unread + interaction.judgement.unread
            reasons = list(interaction.judgement.unfounded)
        else:
            continue
        faults += [
            ScoreFault(
                metric="hallucination.count", call_id=interaction.call_id, scenario=interaction.scenario, what=reason
            )
            for reason in reasons
        ]
    count = Metric(name="hallucination.count", value=len(faults), unit="count", samples=claims, must_be=0.0)
    return Scored(
        (count, Metric(name="hallucination.unread", value=unread, unit="count", samples=claims)), tuple(faults)
    )
