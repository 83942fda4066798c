"""Accuracy: whether the agent reported the tools' results, and whether each scenario had its expected outcome."""

from collections.abc import Mapping, Sequence

from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.metric import Scored, ScoreFault, share
from agentvoicebox.evals.scenario import Scenario
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.interactions.judge import InteractionJudge, day_of
from agentvoicebox.kits.evaluation import KitEvaluation


def score(interactions: Sequence[Interaction], scenarios: Mapping[str, Scenario], choice: KitChoice) -> Scored:
    """`accuracy.told`: share of due results that the agent reported. `accuracy.expected`: share of expectations that were met."""
    due = reported = met = wanted = 0
    faults: list[ScoreFault] = []
    for interaction in interactions:
        count, good = _reported(interaction, choice.judge(interaction))
        due, reported = due + count, reported + good
        if good < count:
            what = f"{count - good} of {count} results were not reported to the caller"
            faults.append(_fault("accuracy.told", interaction, what))
        scenario = scenarios.get(interaction.scenario)
        if scenario is not None and interaction.has_words:
            unmet = missed(interaction, scenario, choice.evaluation(interaction))
            wanted += _expectations(scenario)
            met += _expectations(scenario) - len(unmet)
            faults += [_fault("accuracy.expected", interaction, what) for what in unmet]
    return Scored((*share("accuracy.told", reported, due), *share("accuracy.expected", met, wanted)), tuple(faults))


def _reported(interaction: Interaction, judge: InteractionJudge | None) -> tuple[int, int]:
    """Number of results that were due to be reported, and number of reported ones."""
    if judge is not None and interaction.has_words and interaction.transcript:
        reported = judge.reported(interaction.transcript, interaction.tool_calls)
        return len(reported), sum(reported)
    judgement = interaction.judgement
    return (judgement.due, judgement.reported) if judgement else (0, 0)


def _fault(metric: str, interaction: Interaction, what: str) -> ScoreFault:
    return ScoreFault(metric=metric, call_id=interaction.call_id, scenario=interaction.scenario, what=what)


def _expectations(scenario: Scenario) -> int:
    expect = scenario.expect
    return 1 + len(expect.facts) + len(expect.says) + len(expect.never_says)


def missed(interaction: Interaction, scenario: Scenario, evaluation: KitEvaluation) -> list[str]:
    """The unmet expectations of a scenario, each as a sentence."""
    expect, tolerance = scenario.expect, scenario.tolerance
    lines = [line.text for line in interaction.transcript if line.role == "agent"]
    said = plain(" ".join(lines))
    unmet: list[str] = []
    # An interaction from the caller's side has no tool calls to compare.
    codes = [use.code for use in interaction.tool_calls if use.code]
    if (interaction.log or codes) and not _codes_fit(codes, list(expect.codes), tolerance.codes == "exact"):
        unmet.append(f"tool outcomes were {', '.join(codes) or 'none'}, expected {', '.join(expect.codes) or 'none'}")
    today = day_of(interaction)
    for fact in expect.facts:
        if fault := evaluation.unmet(fact, lines, today, with_days=tolerance.days == "exact"):
            unmet.append(fault)
    unmet += [f"the agent never said “{words}”" for words in expect.says if plain(words) not in said]
    unmet += [f"the agent said “{words}”" for words in expect.never_says if plain(words) in said]
    return unmet


def _codes_fit(codes: list[str], wanted: list[str], is_exact: bool) -> bool:
    if is_exact:
        return codes == wanted
    rest = iter(codes)
    return all(code in rest for code in wanted)


def plain(text: str) -> str:
    """The words in lower case without punctuation, to search for phrases."""
    return " ".join(
        "".join(c if c.isalnum() else " " for c in text.lower().replace("'", "").replace("\u2019", "")).split()
    )
