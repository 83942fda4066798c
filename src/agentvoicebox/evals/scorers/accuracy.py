"""Accuracy: was each caller told what the tool had found, and did each scenario come out as its file expects?"""

from collections.abc import Mapping, Sequence

from agentvoicebox.evals.metric import Fault, Scored, share
from agentvoicebox.evals.replay import day_of
from agentvoicebox.evals.scenario import Fact, Scenario
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox_delivery.evals.facts import facts_of, plain
from agentvoicebox_delivery.grounding.interactions import results_reported
from agentvoicebox_delivery.grounding.statements import STATES
from agentvoicebox_delivery.numbers.readback import ending
from agentvoicebox_delivery.parcels.shipment import ShipmentStatus


def score(interactions: Sequence[Interaction], scenarios: Mapping[str, Scenario]) -> Scored:
    """`accuracy.told`: results whose state or failure the agent told. `accuracy.expected`: expectations that were met."""
    due = heard = met = wanted = 0
    faults: list[Fault] = []
    for interaction in interactions:
        count, good = _told(interaction)
        due, heard = due + count, heard + good
        if good < count:
            what = f"{count - good} of {count} results were not told to the caller"
            faults.append(_fault("accuracy.told", interaction, what))
        scenario = scenarios.get(interaction.scenario)
        if scenario is not None and interaction.has_words:
            unmet = missed(interaction, scenario)
            wanted += _expectations(scenario)
            met += _expectations(scenario) - len(unmet)
            faults += [_fault("accuracy.expected", interaction, what) for what in unmet]
    return Scored((*share("accuracy.told", heard, due), *share("accuracy.expected", met, wanted)), tuple(faults))


def _told(interaction: Interaction) -> tuple[int, int]:
    if interaction.has_words and interaction.transcript:
        answers = results_reported(interaction.transcript, interaction.tool_calls)
        return len(answers), sum(answers)
    judgement = interaction.judgement
    return (judgement.due, judgement.told) if judgement else (0, 0)


def _fault(metric: str, interaction: Interaction, what: str) -> Fault:
    return Fault(metric=metric, call_id=interaction.call_id, scenario=interaction.scenario, what=what)


def _expectations(scenario: Scenario) -> int:
    expect = scenario.expect
    return 1 + len(expect.facts) + len(expect.says) + len(expect.never_says)


def missed(interaction: Interaction, scenario: Scenario) -> list[str]:
    """The expectations of a scenario that an interaction does not meet, each as a sentence."""
    expect, tolerance = scenario.expect, scenario.tolerance
    lines = [line.text for line in interaction.transcript if line.role == "agent"]
    said = plain(" ".join(lines))
    unmet: list[str] = []
    # A call that only the caller's side saw can't know the tools behind it.
    codes = [use.code for use in interaction.tool_calls if use.code]
    if (interaction.log or codes) and not _codes_fit(codes, list(expect.codes), tolerance.codes == "exact"):
        unmet.append(f"look-ups came to {', '.join(codes) or 'nothing'}, not {', '.join(expect.codes) or 'nothing'}")
    today = day_of(interaction)
    told_facts = facts_of(lines, today)
    for fact in expect.facts:
        if fault := _untold(fact, told_facts, said, tolerance.days == "exact"):
            unmet.append(fault)
    unmet += [f"the agent never said “{words}”" for words in expect.says if plain(words) not in said]
    unmet += [f"the agent said “{words}”" for words in expect.never_says if plain(words) in said]
    return unmet


def _codes_fit(codes: list[str], wanted: list[str], is_exact: bool) -> bool:
    if is_exact:
        return codes == wanted
    rest = iter(codes)
    return all(code in rest for code in wanted)


def _untold(fact: Fact, told_facts: frozenset[str], said: str, compares_days: bool) -> str:
    status = ShipmentStatus(fact.status)
    states = [name for name, (_, is_true_in, _) in STATES.items() if status in is_true_in]
    if not any(f"state: {name}" in told_facts for name in states):
        return f"the caller was not told that {fact.number} is {fact.status}"
    if plain(ending(fact.number)) not in said:
        return f"the caller did not hear which parcel ({fact.number}) it is about"
    if compares_days and fact.arrives_in_days is not None and f"day: {fact.arrives_in_days:+d}" not in told_facts:
        return f"the caller was not told that {fact.number} arrives in {fact.arrives_in_days} days"
    return ""
