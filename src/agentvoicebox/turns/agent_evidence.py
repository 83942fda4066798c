"""What an agent knows about its caller's turns: what its question expects, what a number still lacks, what a look-up proved.

`AgentEvidence` is what is known of any agent. An agent kit overrides what it knows better (`AgentKit.turn_evidence`). Pure; it is
called on the event loop of all calls, so an answer takes a fraction of a millisecond.
"""

import re
from enum import StrEnum

_SENTENCE = re.compile(r"[^.!?]+[.!?]?")
_YES_OR_NO = re.compile(
    r"(?:(?:so|and|okay|then),? )?(?:is|are|am|was|were|do|does|did|has|have|had|can|could|will|would|shall|should|may)\b"
)
_OR = re.compile(r"\bor\b")
_TAGS = ("is that right?", "is that correct?", "right?", "correct?")


class ExpectedAnswer(StrEnum):
    """What a question expects."""

    ANYTHING = "anything"
    YES_OR_NO = "yes_or_no"
    NUMBER = "number"  # an identifier, which callers say with pauses


class Proof(StrEnum):
    """What the results of the tools that ran on the words so far prove about them."""

    NOTHING = "nothing"
    COMPLETE = "complete"  # what was said is all that was needed: the turn may end soon
    INCOMPLETE = "incomplete"  # something is missing: the caller probably goes on


class AgentEvidence:
    """What is known about the turns of an agent's callers, by rule, for any agent."""

    def expects(self, question: str) -> ExpectedAnswer:
        """What the agent's last words ask for; "" before it has said any."""
        sentences: list[str] = [each.strip().lower() for each in _SENTENCE.findall(question) if each.strip()]
        if not sentences or not sentences[-1].endswith("?"):
            return ExpectedAnswer.ANYTHING
        last = sentences[-1]
        is_closed = last.endswith(_TAGS) or (_YES_OR_NO.match(last) is not None and _OR.search(last) is None)
        return ExpectedAnswer.YES_OR_NO if is_closed else ExpectedAnswer.ANYTHING

    def doubt(self, text: str, expected: ExpectedAnswer) -> float | None:
        """How likely the speaker of `text` goes on, 0 to 1, where the agent knows better than `turns.rules`; else None."""
        return None

    def proves(self, tool: str, output: str, text: str) -> Proof:
        """What a tool's output proves about the words that led to it; `text` are those of the present turn."""
        return Proof.NOTHING
