"""What is to be said about each recorded interaction: outcome, tries, faults, and how bad it is compared with others.

Decides which calls are the worst. `report_page` shows them. Pure.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from agentvoicebox.evals.kit_choice import KitChoice
from agentvoicebox.evals.score import Score
from agentvoicebox.evals.scorers.promises import promises_of
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.interactions.judge import UnsupportedClause, day_of, knows_results

# How much each of them weighs; only the order of calls follows from it.
UNSUPPORTED, BROKEN_INVARIANT, PROMISE, OTHER_FAULT, FAILED_RESPONSE = 100, 100, 60, 30, 10
LATER_OUTCOME, FURTHER_TRY, REFUSAL = 5, 4, 2
_OF_CLAUSES = (
    "hallucination.count",
    "promises.count",
    "laws.broken",
)  # metrics whose faults are counted here themselves


class CallReview(msgspec.Struct, frozen=True, kw_only=True):
    """One interaction.

    Attributes:
        outcome: how it came out; see `KitEvaluation.outcomes`.
        rank: place of the outcome among those of its kit, 0 for the best.
        is_good: whether the outcome is what the caller wanted, or what the scenario is for.
        tries: until the tool had what the caller meant; None if it never had.
        refusals: indexes of the agent's lines that decline something; None if words were not recorded.
        promises: that nothing kept.
        unsupported: statements without a tool result.
        faults: all else that lowers the score, as sentences.
    """

    interaction: Interaction
    outcome: str
    rank: int
    is_good: bool = True
    tries: int | None = None
    refusals: tuple[int, ...] | None = None
    promises: tuple[UnsupportedClause, ...] = ()
    unsupported: tuple[UnsupportedClause, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def slowest_ms(self) -> float:
        """The longest wait for an answer; 0 without one."""
        return max((wait.total_ms for wait in self.interaction.waits), default=0.0)

    @property
    def weight(self) -> int:
        """How bad it is; 0 if there is nothing against it."""
        failed = sum(status == "failed" for status in self.interaction.responses)
        return (
            UNSUPPORTED * len(self.unsupported)
            + BROKEN_INVARIANT * bool(self.interaction.invariant_broken)
            + OTHER_FAULT * len(self.faults)
            + PROMISE * len(self.promises)
            + FAILED_RESPONSE * failed
            + (0 if self.is_good else LATER_OUTCOME * self.rank)
            + FURTHER_TRY * max(0, (self.tries or 1) - 1)
            + REFUSAL * len(self.refusals or ())
        )

    @property
    def reasons(self) -> list[str]:
        """What is against it, the worst first, each in a few words; [] if nothing is."""
        broken = self.interaction.invariant_broken
        failed = sum(status == "failed" for status in self.interaction.responses)
        return [
            *_counted(len(self.unsupported), "unsupported statement"),
            *([f"invariant violated: {broken}"] if broken else []),
            *self.faults,
            *_counted(len(self.promises), "promise"),
            *_counted(failed, "failed answer"),
            *([] if self.is_good else [self.outcome]),
            *([f"{self.tries} tries"] if (self.tries or 1) > 1 else []),
            *_counted(len(self.refusals or ()), "refusal"),
        ]


def review(
    interactions: Sequence[Interaction], score: Score, choice: KitChoice, scenarios: Collection[str] = ()
) -> list[CallReview]:
    """A review of each interaction, in their order.

    Args:
        interactions: of any channels.
        score: of these.
        choice: the kits.
        scenarios: names of those whose expectations are part of the score.
    """
    faults: dict[str, list[str]] = {}
    for fault in score.faults:
        if fault.metric not in _OF_CLAUSES:
            faults.setdefault(fault.call_id, []).append(fault.what)
    return [_review(each, faults, choice, scenarios) for each in interactions]


def worst(reviews: Sequence[CallReview], most: int) -> list[CallReview]:
    """The worst ones, the worst first; of those without anything against them the slowest."""
    return sorted(reviews, key=lambda each: (-each.weight, -each.slowest_ms))[:most]


def _review(
    interaction: Interaction, faults: Mapping[str, list[str]], choice: KitChoice, scenarios: Collection[str]
) -> CallReview:
    evaluation = choice.evaluation(interaction)
    found = evaluation.outcome(interaction)
    promises = tuple(promises_of(interaction, choice))
    has_words = interaction.has_words and bool(interaction.transcript)
    lines = [
        index
        for index, line in enumerate(interaction.transcript)
        if line.role == "agent" and evaluation.refuses(line.text)
    ]
    own_faults = tuple(faults.get(interaction.call_id, ()))
    is_expected = interaction.scenario in scenarios and has_words and not own_faults
    return CallReview(
        interaction=interaction,
        outcome=found.name,
        rank=_rank(found.name, evaluation.outcomes),
        is_good=found.name in evaluation.good_outcomes or is_expected,
        tries=found.tries,
        refusals=tuple(lines) if has_words else None,
        promises=promises,
        unsupported=_unsupported(interaction, choice, promises),
        faults=own_faults,
    )


def _rank(name: str, outcomes: Sequence[str]) -> int:
    return outcomes.index(name) if name in outcomes else len(outcomes)


def _unsupported(
    interaction: Interaction, choice: KitChoice, promises: Sequence[UnsupportedClause]
) -> tuple[UnsupportedClause, ...]:
    """Clauses that are no promises; without words their reasons alone, as the judge found them at the time of the call."""
    if not knows_results(interaction):
        return ()
    judge = choice.judge(interaction)
    if judge is not None and interaction.has_words and interaction.transcript:
        reading = judge.read(interaction.transcript, interaction.tool_calls, day_of(interaction))
        known = {(each.line, each.clause) for each in promises}
        return tuple(each for each in reading.findings if (each.line, each.clause) not in known)
    if interaction.judgement is None:
        return ()
    return tuple(UnsupportedClause(-1, "", reason) for reason in interaction.judgement.unfounded)


def _counted(count: int, what: str) -> list[str]:
    return [f"{count} {what}{'s' if count > 1 else ''}"] if count else []
