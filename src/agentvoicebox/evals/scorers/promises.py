"""Promises: what the agent said that it or another person would do, and no tool did. There must be none."""

from collections.abc import Sequence

from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.metric import Metric, Scored, ScoreFault
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.interactions.judge import UnsupportedClause, day_of, is_promise


def score(interactions: Sequence[Interaction], choice: KitChoice) -> Scored:
    """`promises.count`, of all lines of agents. Without words, those that the judge found at the time of the call."""
    count = lines = 0
    faults: list[ScoreFault] = []
    for interaction in interactions:
        lines += sum(line.role == "agent" for line in interaction.transcript)
        whats = [f"“{each.clause}”" for each in promises_of(interaction, choice)]
        if not interaction.has_words and interaction.judgement is not None:
            whats = [reason for reason in interaction.judgement.unfounded if is_promise(reason)]
        count += len(whats)
        faults += [
            ScoreFault(metric="promises.count", call_id=interaction.call_id, scenario=interaction.scenario, what=what)
            for what in whats
        ]
    if not lines:
        return Scored()
    return Scored(
        (Metric(name="promises.count", value=count, unit="count", samples=lines, must_be=0.0),), tuple(faults)
    )


def promises_of(interaction: Interaction, choice: KitChoice) -> list[UnsupportedClause]:
    """The promises in an interaction with words: those that its kit finds, and other sentences that its judge calls promises."""
    if not interaction.has_words or not interaction.transcript:
        return []
    found = list(choice.evaluation(interaction).unkept_promises(interaction))
    judge = choice.judge(interaction)
    if judge is not None:
        read = judge.read(interaction.transcript, interaction.tool_calls, day_of(interaction))
        known = [(each.line, each.clause) for each in found]
        found += [
            each
            for each in read.findings
            if each.is_promise and not any(each.line == line and each.clause in clause for line, clause in known)
        ]
    return found
