"""A side effect happens at most once and its result is never lost, in every possible world."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit import broken_engines
from tests.kit.broken_engines import (
    BESIDE,
    BOOKING,
    BOOKING_GOES_ON,
    CALL,
    CANCEL,
    CREATE,
    PAUSE,
    SPEAK,
    TOOL,
    TRANSCRIBE,
)
from tests.kit.conversation import BOOK
from tests.kit.world import MODES, World, replay

from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine import tool_calls
from agentvoicebox.engine.invariants import Invariants
from agentvoicebox.engine.jobs import CallTool

# Worlds that mostly book, cancel and interrupt.
MOVE = st.one_of(
    st.tuples(st.sampled_from([CALL]), st.integers(0, 2), st.sampled_from([BOOKING, BOOKING_GOES_ON, 6, 7])),
    st.tuples(st.sampled_from([SPEAK, PAUSE, TRANSCRIBE, TOOL, CREATE, CANCEL, BESIDE]), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.integers(0, 21), st.integers(0, 9), st.integers(0, 9)),
)  # fmt: skip
SCRIPT = st.lists(MOVE, max_size=60)
MODE = st.integers(0, len(MODES) - 1)


def play(script: list[tuple[int, int, int]], mode: int = 0) -> World:
    return broken_engines.play(script, mode, transcription=False)


@settings(max_examples=400, deadline=None)
@given(mode=MODE, script=SCRIPT)
def test_a_side_effect_happens_at_most_once_and_its_result_is_never_lost(
    mode: int, script: list[tuple[int, int, int]]
) -> None:
    world = play(script, mode)
    once, twice = replay(world.talk), replay(world.talk)
    assert msgspec.msgpack.encode(once) == msgspec.msgpack.encode(twice)


def side_effects(world: World) -> list[str]:
    return [
        effect.job_id
        for effect in world.talk.effects
        if isinstance(effect, fx.OpenJob)
        and isinstance(effect.request, CallTool)
        and effect.request.name == BOOK
    ]  # fmt: skip


def test_the_worlds_above_do_cut_side_effects_off() -> None:
    world = play([(CREATE, 0, 0), (CALL, 0, BOOKING), (CANCEL, 0, 0), (TOOL, 0, 0)])
    assert len(side_effects(world)) == 1
    assert not any(isinstance(effect, fx.CancelJob) for effect in world.talk.effects)


def test_closing_cancels_detached_side_effects_and_records_that_their_outcome_is_unknown() -> None:
    world = World(0, transcription=False, on_step=Invariants().check)
    world.step(CREATE, 0, 0)
    world.step(CALL, 0, BOOKING)
    (job_id,) = side_effects(world)
    world.step(CANCEL, 0, 0)
    world.give(i.Closing("client_left"))
    assert fx.CancelJob(job_id) in world.talk.effects
    records = [e for e in world.talk.effects if isinstance(e, fx.Persist) and e.kind == "item"]
    assert records[-1].body["item"]["output"] == tool_calls.OUTCOME_UNKNOWN  # type: ignore[index]
