"""Tool success: share of tool calls that got an answer. "Not found" is an answer; an unavailable backend is not."""

from collections.abc import Mapping, Sequence

from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.metric import Scored, ScoreFault, share
from agentvoicebox.evals.scenario import Scenario
from agentvoicebox.interactions.from_log import FAILED
from agentvoicebox.interactions.interaction import Interaction

UNKNOWN_TOOL, INVALID_ARGUMENTS, TOO_MANY_CALLS = "UNKNOWN_TOOL", "INVALID_ARGUMENTS", "TOO_MANY_CALLS"
FAILURES = frozenset({UNKNOWN_TOOL, INVALID_ARGUMENTS, FAILED, TOO_MANY_CALLS})  # of all kits


def score(interactions: Sequence[Interaction], scenarios: Mapping[str, Scenario], choice: KitChoice) -> Scored:
    """`tool.success`: share of answered calls; a failure that the scenario expects counts as one. `webhook.success`: no 5xx."""
    failures = FAILURES | choice.failures
    good = calls = answered = requests = 0
    faults: list[ScoreFault] = []
    for interaction in interactions:
        scenario = scenarios.get(interaction.scenario)
        wanted = scenario.expect.codes if scenario else ()
        for use in interaction.tool_calls:
            calls += 1
            if use.code in failures and use.code not in wanted:
                what = f"{use.name or 'a tool'} ended with {use.code}"
                faults.append(_fault("tool.success", interaction, what))
            else:
                good += 1
        if interaction.status is not None:
            requests += 1
            if interaction.status >= 500:
                faults.append(_fault("webhook.success", interaction, f"answered {interaction.status}"))
            else:
                answered += 1
    return Scored((*share("tool.success", good, calls), *share("webhook.success", answered, requests)), tuple(faults))


def _fault(metric: str, interaction: Interaction, what: str) -> ScoreFault:
    return ScoreFault(metric=metric, call_id=interaction.call_id, scenario=interaction.scenario, what=what)
