"""The invariants of a conversation hold in every possible world, and each of them catches an engine that is broken on purpose."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit import broken_engines
from tests.kit.broken_engines import FAULTS, Fault
from tests.kit.world import MODES, World, replay

from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.invariants import Invariant, InvariantViolation
from agentvoicebox.engine.session import Engine

MOVES = 28
SCRIPT = st.lists(st.tuples(st.integers(0, MOVES - 1), st.integers(0, 9), st.integers(0, 9)), max_size=60)
MODE = st.integers(0, 2 * len(MODES) - 1)


def play(mode: int, script: list[tuple[int, int, int]], transcription: bool) -> World:
    return broken_engines.play(script, mode, transcription=transcription)


@settings(max_examples=400, deadline=None)
@given(mode=MODE, script=SCRIPT, transcription=st.booleans())
def test_every_invariant_holds_in_every_possible_world(
    mode: int, script: list[tuple[int, int, int]], transcription: bool
) -> None:
    play(mode, script, transcription)


@pytest.mark.requirement("C5")
@settings(max_examples=100, deadline=None)
@given(mode=MODE, script=SCRIPT)
def test_the_same_log_gives_the_same_effects_byte_for_byte(mode: int, script: list[tuple[int, int, int]]) -> None:
    world = play(mode, script, True)
    once, twice = replay(world.talk), replay(world.talk)
    assert msgspec.msgpack.encode(once) == msgspec.msgpack.encode(twice)
    assert [effect for step in once for effect in step] == world.talk.effects


@pytest.mark.requirement("C5")
@settings(max_examples=100, deadline=None)
@given(mode=MODE, script=SCRIPT, at=st.integers(0, 60))
def test_a_session_restored_in_mid_call_goes_on_with_the_same_effects(
    mode: int, script: list[tuple[int, int, int]], at: int
) -> None:
    world = play(mode, script, True)
    engine, _ = Engine.open(world.talk.opened, 0.0)
    for step, (now_s, fact) in enumerate(world.talk.inputs):
        if step == at:
            stored = msgspec.msgpack.decode(
                msgspec.msgpack.encode(world.talk.inputs[at:]), type=list[tuple[float, i.Input]]
            )
            restored = Engine.restore(engine.snapshot())
            for later_s, later in stored:
                assert restored.receive(later, later_s) == engine.receive(later, later_s)
            assert restored.snapshot() == engine.snapshot()
            return
        engine.receive(fact, now_s)


# -- each invariant catches an engine that is broken on purpose -------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_an_engine_is_caught_that(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_engines.play(fault.script, fault.mode)  # the sound engine passes
    monkeypatch.setattr(fault.where, fault.attribute, fault.replacement)
    with pytest.raises(InvariantViolation) as caught:
        broken_engines.play(fault.script, fault.mode)
    assert caught.value.invariant is fault.invariant


def test_every_invariant_catches_a_broken_engine() -> None:
    assert {fault.invariant for fault in FAULTS} == set(Invariant)
