"""State machines as tables: each legal (phase, event) pair and the phase it leads to.

A pair that is not in its table is an internal error: inputs that come too late are ignored before they reach a machine. The
diagrams in `docs/diagrams` are made from these tables.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

P = TypeVar("P", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class IllegalTransition(RuntimeError):
    """An event that its machine does not know in this phase: a bug of the engine, never the client's fault."""

    def __init__(self, machine: str, phase: StrEnum, event: StrEnum) -> None:
        super().__init__(f"{machine}: {event} is illegal in phase {phase}")


class Machine(Generic[P, E]):
    """One machine.

    Attributes:
        name: what it is the machine of; also the name of its diagram.
        initial: the phases that it may begin in.
        transitions: (phase, event) → next phase.
    """

    def __init__(self, name: str, initial: tuple[P, ...], transitions: Mapping[tuple[P, E], P]) -> None:
        self.name = name
        self.initial = initial
        self.transitions = transitions

    def next(self, phase: P, event: E) -> P:
        """The phase that an event leads to. Raises IllegalTransition."""
        try:
            return self.transitions[phase, event]
        except KeyError:
            raise IllegalTransition(self.name, phase, event) from None

    @property
    def final(self) -> tuple[P, ...]:
        """The phases that no event leaves, in the order of their definition."""
        phases = dict.fromkeys(self.transitions.values())
        left = {phase for phase, _ in self.transitions}
        return tuple(phase for phase in phases if phase not in left)
