"""The demo call of a kit: what its caller says, and what must be true afterwards."""

from collections.abc import Sequence
from typing import Protocol


class KitDemo(Protocol):
    """The call of `agentvoicebox demo`.

    Attributes:
        agent: the agent that is called.
        about: what the caller wants, one sentence for people.
        opening: the caller's first lines, each said after the answer to the one before.
        farewell: the caller's last line.
        answers: further lines that `answer_to` may choose.
    """

    @property
    def agent(self) -> str:
        """See above."""

    @property
    def about(self) -> str:
        """See above."""

    @property
    def opening(self) -> Sequence[str]:
        """See above."""

    @property
    def farewell(self) -> str:
        """See above."""

    @property
    def answers(self) -> Sequence[str]:
        """See above."""

    def answer_to(self, reply: str) -> str:
        """What the caller says to a reply: one of `answers`, or "" to say goodbye."""

    def faults(self, replies: str) -> list[str]:
        """What is missing or untrue in all that the agent said; [] when it was the truth."""

    def audible(self) -> str:
        """Words that must be recognised in the recorded sound of some reply."""

    def proof(self) -> str:
        """One sentence that says what was proven."""
