"""Filters a growing reply clause by clause, while a language model is still writing.

The first refused clause is replaced by the reply builder's own words, later ones are left out. `judgement` decides
whether a clause may be said. English, like the builder.
"""

from collections.abc import Sequence

from agentvoicebox_delivery.grounding.clauses import Clauses, cut, normal
from agentvoicebox_delivery.grounding.facts import Facts
from agentvoicebox_delivery.grounding.judgement import NO_NUMBER_YET, NOT_CERTAIN, ClauseVerdict, judge


class Grounder:
    """Passes the clauses of a growing reply that are true.

    Args:
        facts: of this call.
        spoken: what was already said of this reply, when it continues after an interruption.

    Attributes:
        verdicts: one for each clause so far.
    """

    def __init__(self, facts: Facts, spoken: str = "") -> None:
        self.facts = facts
        self.verdicts: list[ClauseVerdict] = []
        self._clauses = Clauses()
        self._subject: str | None = None
        self._replacements_said: list[str] = []
        self._is_replaced = False
        for clause in cut(spoken):
            self._replacements_said.append(normal(clause))
            self._subject = judge(clause, facts, self._subject).subject
        if spoken:
            self._is_replaced = normal(fallback(facts)) in normal(spoken) or normal(NOT_CERTAIN) in normal(spoken)

    def feed(self, delta: str) -> list[str]:
        """Add the model's text; returns what may now be spoken, in order."""
        return self._pass(self._clauses.feed(delta))

    def flush(self, *, is_replacing: bool = True) -> list[str]:
        """End of the model's text; returns what may be spoken of the rest.

        Args:
            is_replacing: False where something else follows the refused words (a tool call).
        """
        return self._pass(self._clauses.flush(), is_replacing=is_replacing)

    def _pass(self, clauses: Sequence[str], *, is_replacing: bool = True) -> list[str]:
        spoken: list[str] = []
        for clause in clauses:
            verdict = judge(clause, self.facts, self._subject)
            self.verdicts.append(verdict)
            self._subject = verdict.subject
            if verdict.allowed:
                spoken.append(clause)
                self._replacements_said.append(normal(clause))
            elif is_replacing and not self._is_replaced:
                self._is_replaced = True
                self._subject = None  # the builder's words are about the parcel asked last
                spoken += self._replacement()
        return spoken

    def _replacement(self) -> list[str]:
        """The builder's words that this reply has not contained yet."""
        rest = [clause for clause in cut(fallback(self.facts)) if normal(clause) not in self._replacements_said]
        return ["".join(rest).strip() + " "] if rest else []


def fallback(facts: Facts) -> str:
    """The replacement of a refused clause: the builder's words for the last result."""
    parcel = facts.latest
    if parcel is None:
        return NO_NUMBER_YET
    if not parcel.speech or normal(parcel.speech) in normal(facts.heard):
        return NOT_CERTAIN
    return parcel.speech


def check_whole(text: str, facts: Facts) -> list[ClauseVerdict]:
    """The verdicts on a whole reply, for scoring."""
    grounder = Grounder(facts)
    grounder.feed(text)
    grounder.flush()
    return grounder.verdicts
