"""Filters a growing reply sentence by sentence, while a language model is still writing.

A sentence is said whole or not at all (ADR 36): one refused clause refuses it. In the place of the first refused sentence the
answer to the caller's question is said (`replacement`), once a reply; later ones are left out. A sentence that announces what
the agent will do waits for what follows: it is said before a tool call, or before a question for the number, else left out.
`judgement` decides whether a clause may be said. English, like the builder.
"""

import re
from collections.abc import Sequence

import msgspec

from agentvoicebox_delivery.grounding.clause_checker import PROMISED
from agentvoicebox_delivery.grounding.clauses import Clauses, cut, normal
from agentvoicebox_delivery.grounding.facts import Facts
from agentvoicebox_delivery.grounding.judgement import NOT_CERTAIN, ClauseVerdict, judge
from agentvoicebox_delivery.grounding.replacement import fallback

SENTENCE_REFUSED = "another part of its sentence was refused"

SENTENCE_END = re.compile(r"(?:[.!?\u2026]+[\"'\u2019\u201d)\]*]*\s*|\n)$")

# A request without a question mark.
_ASKS = re.compile(
    r"(?:(?:okay|sure|great|of course|then|so|just|please|if you) )*(?:read|tell|give|say|share|repeat|spell)\b"
)


class Grounder:
    """Passes the sentences of a growing reply that are true.

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
        self._sentence: list[str] = []
        self._announced: list[tuple[str, ClauseVerdict]] = []
        self._subject: str | None = None
        self._said: list[str] = []
        self._is_replaced = False
        for clause in cut(spoken):
            self._said.append(normal(clause))
            self._subject = judge(clause, facts, self._subject).subject
        if spoken:
            self._is_replaced = normal(fallback(facts)) in normal(spoken) or normal(NOT_CERTAIN) in normal(spoken)

    def feed(self, delta: str, *, is_replacing: bool = True) -> list[str]:
        """Add the model's text; returns what may now be spoken, in order."""
        return self._pass(self._clauses.feed(delta), is_replacing=is_replacing)

    def flush(self, *, is_replacing: bool = True) -> list[str]:
        """End of the model's text; returns what may be spoken of the rest.

        Args:
            is_replacing: False where something else follows the refused words (a tool call).
        """
        spoken = self._pass(self._clauses.flush(), is_replacing=is_replacing)
        if self._sentence:
            spoken += self._judge_sentence(is_replacing=is_replacing)
        spoken += self._keep_announced() if not is_replacing else self._drop_announced()
        if is_replacing and not self._said and self.verdicts:
            spoken += self._replacement()
        return spoken

    def replacement(self) -> list[str]:
        """The answer to the caller's question, where the model has said nothing that may be spoken."""
        return [] if self._said else self._replacement()

    def _pass(self, clauses: Sequence[str], *, is_replacing: bool) -> list[str]:
        spoken: list[str] = []
        for clause in clauses:
            self._sentence.append(clause)
            if SENTENCE_END.search(clause):
                spoken += self._judge_sentence(is_replacing=is_replacing)
        return spoken

    def _judge_sentence(self, *, is_replacing: bool) -> list[str]:
        sentence, self._sentence = self._sentence, []
        subject, verdicts = self._subject, []
        for clause in sentence:
            verdicts.append(judge(clause, self.facts, subject))
            subject = verdicts[-1].subject
        refused = [verdict for verdict in verdicts if not verdict.allowed]
        is_announced = bool(refused) and all(verdict.reason == PROMISED for verdict in refused)
        if is_announced and self._asks_number(sentence):
            verdicts = [msgspec.structs.replace(verdict, allowed=True, reason="") for verdict in verdicts]
            refused, is_announced = [], False
        if is_announced:
            self._announced += zip(sentence, verdicts, strict=True)
            return []
        if refused:
            self.verdicts += [_dropped(verdict) for verdict in verdicts]
            return self._replacement() if is_replacing else []
        spoken = self._keep_announced() if self._asks_number(sentence) else self._drop_announced()
        self.verdicts += verdicts
        self._subject = subject
        self._said += [normal(clause) for clause in sentence if normal(clause)]
        return spoken + sentence

    def _asks_number(self, sentence: Sequence[str]) -> bool:
        """Whether the agent asks for a number that it needs: then what it announces depends on the caller."""
        text = normal("".join(sentence))
        is_another = re.search(r"\b(?:tracking|other|next|new|second) number\b", text) is not None
        is_needed = self.facts.latest is None or self.facts.latest.shipment is None or is_another
        is_asked = "?" in sentence[-1] or _ASKS.match(text) is not None
        return is_needed and re.search(r"\b(?:number|code|digits?|id|it)\b", text) is not None and is_asked

    def _keep_announced(self) -> list[str]:
        announced, self._announced = self._announced, []
        self.verdicts += [msgspec.structs.replace(verdict, allowed=True, reason="") for _, verdict in announced]
        self._said += [normal(clause) for clause, _ in announced]
        return [clause for clause, _ in announced]

    def _drop_announced(self) -> list[str]:
        self.verdicts += [_dropped(verdict) for _, verdict in self._announced]
        self._announced = []
        return []

    def _replacement(self) -> list[str]:
        """The builder's words that this reply has not contained yet; only once."""
        if self._is_replaced:
            return []
        self._is_replaced = True
        self._subject = None  # the builder's words are about the parcel asked for last
        rest = [clause for clause in cut(fallback(self.facts)) if normal(clause) not in self._said]
        self._said += [normal(clause) for clause in rest]
        return ["".join(rest).strip() + " "] if rest else []


def _dropped(verdict: ClauseVerdict) -> ClauseVerdict:
    return msgspec.structs.replace(verdict, allowed=False, reason=verdict.reason or SENTENCE_REFUSED)


def check_whole(text: str, facts: Facts) -> list[ClauseVerdict]:
    """The verdicts on a whole reply, for scoring; a clause counts as refused when its sentence is."""
    grounder = Grounder(facts)
    grounder.feed(text)
    grounder.flush()
    return grounder.verdicts
