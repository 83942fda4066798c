"""Runs all scorers over a set of interactions: one score, with the faulty calls."""

from collections.abc import Mapping, Sequence

import msgspec

from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.metric import Metric, Scored, ScoreFault, share
from agentvoicebox.evals.replay import Replay
from agentvoicebox.evals.scenario import Scenario
from agentvoicebox.evals.scorers import accuracy, hallucination, latency, promises, tool_success
from agentvoicebox.interactions.interaction import Interaction


class Score(msgspec.Struct, frozen=True):
    """The score of a set of interactions.

    Attributes:
        interactions: their number.
        metrics: by name, in the order of the report.
        faults: single faults that lower the metrics.
    """

    interactions: int
    metrics: dict[str, Metric]
    faults: tuple[ScoreFault, ...]

    def faults_of(self, metric: str) -> list[ScoreFault]:
        """The faults that count in a metric."""
        return [fault for fault in self.faults if fault.metric == metric]


def score(
    interactions: Sequence[Interaction],
    *,
    scenarios: Mapping[str, Scenario],
    choice: KitChoice,
    replays: Sequence[Replay] = (),
) -> Score:
    """Score interactions.

    Args:
        interactions: of any channels.
        scenarios: by name, for interactions that came from scenarios.
        choice: provides the kits' judges and facts.
        replays: of the same interactions, if they were replayed.
    """
    found = [
        accuracy.score(interactions, scenarios, choice),
        tool_success.score(interactions, scenarios, choice),
        hallucination.score(interactions, choice),
        promises.score(interactions, choice),
        _invariants(interactions),
        _replays(replays),
        latency.score(interactions),
    ]
    metrics = {metric.name: metric for scored in found for metric in scored.metrics}
    return Score(len(interactions), metrics, tuple(fault for scored in found for fault in scored.faults))


def _invariants(interactions: Sequence[Interaction]) -> Scored:
    calls = [each for each in interactions if each.log]
    broken = [each for each in calls if each.invariant_broken]
    faults = tuple(
        ScoreFault(metric="laws.broken", call_id=each.call_id, scenario=each.scenario, what=each.invariant_broken)
        for each in broken
    )
    metric = Metric(name="laws.broken", value=len(broken), unit="count", samples=len(calls), must_be=0.0)
    return Scored((metric,) if calls else (), faults)


def _replays(replays: Sequence[Replay]) -> Scored:
    possible = [each for each in replays if each.compares]
    metrics: tuple[Metric, ...] = ()
    for what in sorted({each.what for each in possible}):
        of_kind = [each for each in possible if each.what == what]
        same = sum(each.verdict == "same" for each in of_kind)
        metrics += share(f"replay.{what}", same, len(of_kind), must_be=1.0)
    faults = tuple(
        ScoreFault(metric=f"replay.{each.what}", call_id=each.call_id, scenario=each.scenario, what=each.why)
        for each in possible
        if each.verdict == "different"
    )
    return Scored(metrics, faults)
