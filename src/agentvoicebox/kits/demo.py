"""The demo call of a kit: what the caller says, and the checks after the call."""

from collections.abc import Sequence
from typing import Protocol


class KitDemo(Protocol):
    """The call of `agentvoicebox demo`.

    Attributes:
        agent: name of the agent that is called.
        about: what the caller wants, in one sentence.
        opening: the caller's first lines; each is said after the answer to the one before.
        closing_line: the caller's last line.
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
    def closing_line(self) -> str:
        """See above."""

    @property
    def answers(self) -> Sequence[str]:
        """See above."""

    def answer_to(self, reply: str) -> str:
        """The caller's answer to a reply: one of `answers`, or "" to say goodbye."""

    def faults(self, replies: str) -> list[str]:
        """What is missing or false in the agent's replies; [] if all is right."""

    def audible(self) -> str:
        """Words that must be recognised in the recorded audio of at least one reply."""

    def proof(self) -> str:
        """One sentence that states what the call has proved."""
