"""Recorded interactions for tests: random lawful sessions on tape, and simulated scenarios."""

import asyncio
import random
from collections.abc import Sequence

import msgspec

from agentvoicebox.evals.scenario import Scenario, load
from agentvoicebox.evals.simulation import Simulation, Timing
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.interactions.tape import Tape
from tests.kit.kits import AGENTS, CHOICE
from tests.kit.world import World

MOVES = 23
NOON_S = 1_795_521_600.0  # 2026-11-24, noon UTC, a Tuesday


def taped(mode: int, script: Sequence[tuple[int, int, int]], *, transcription: bool = True) -> Tape:
    """A random session as the gateway would have taped it."""
    tape = Tape("trace")
    world = World(mode, transcription=transcription, on_step=lambda *step: None)
    tape.record(0.0, world.talk.opened, world.talk.effects)
    world.on_step = lambda engine, given, effects, now_s: tape.record(now_s, given, effects)
    for move, a, b in script:
        world.step(move, a, b)
    world.hang_up()
    return tape


def random_script(seed: int, length: int = 60) -> list[tuple[int, int, int]]:
    """Moves of a world."""
    dice = random.Random(seed)
    return [(dice.randrange(MOVES), dice.randrange(10), dice.randrange(10)) for _ in range(length)]


def simulated(scenario: Scenario, *, wall_s: float = NOON_S, timing: Timing | None = None) -> Interaction:
    """A scenario, simulated without sound."""
    return asyncio.run(Simulation(scenario, AGENTS, CHOICE, wall_s=wall_s, timing=timing).play())


def scenario(name: str) -> Scenario:
    """One of the built-in scenarios."""
    return next(each for each in load(CHOICE.default.scenarios) if each.name == name)


def with_agent_line(interaction: Interaction, old: str, new: str) -> Interaction:
    """The interaction as if the agent had said `new` for `old`."""
    lines = [
        msgspec.structs.replace(line, text=line.text.replace(old, new)) if line.role == "agent" else line
        for line in interaction.transcript
    ]
    assert lines != list(interaction.transcript), "nothing was planted"
    return msgspec.structs.replace(interaction, transcript=tuple(lines))
