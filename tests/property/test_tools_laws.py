"""A side effect happens at most once and its result is never lost, in every lawful world; a broken engine is caught."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.conversation import BOOK
from tests.kit.world import MODES, World, replay

from agentvoicebox.engine import answering, tool_calls
from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.conversation import Conversation
from agentvoicebox.engine.invariants import Invariants, InvariantViolation
from agentvoicebox.engine.jobs import CallTool
from agentvoicebox.engine.response import LiveResponse
from agentvoicebox.engine.tool_call import CallPhase

SPEAK, PAUSE, HEAR, GENERATE, CALL, TOOL, FAIL, CREATE, CANCEL, BESIDE, ASK = 0, 1, 2, 3, 4, 7, 8, 12, 13, 18, 20
LOOKING_UP, BOOKING, BOOKING_GOES_ON = 4, 2, 3  # of CALL: the model books and waits for the result; books and writes on
# Worlds that mostly book, cancel and interrupt.
MOVE = st.one_of(
    st.tuples(st.sampled_from([CALL]), st.integers(0, 2), st.sampled_from([BOOKING, BOOKING_GOES_ON, 6, 7])),
    st.tuples(st.sampled_from([SPEAK, PAUSE, HEAR, TOOL, CREATE, CANCEL, BESIDE]), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.integers(0, 21), st.integers(0, 9), st.integers(0, 9)),
)  # fmt: skip
SCRIPT = st.lists(MOVE, max_size=60)
MODE = st.integers(0, len(MODES) - 1)


def play(script: list[tuple[int, int, int]], mode: int = 0) -> World:
    world = World(mode, transcription=False, on_step=Invariants().check)
    for move, a, b in script:
        world.step(move, a, b)
    world.hang_up()
    return world


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


# -- each law catches an engine that breaks it -----------------------------------------------------------------------


def _all_jobs(self: LiveResponse) -> list[str]:
    return [*([self.llm_job] if self.llm_job else []), *(c.job_id for c in self.calls if c.job_id and c.is_running)]


def _forgets(state: Any, step: Any, job_id: str, output: str) -> None:
    state.detached.pop(job_id)


def _eager(state: Any, step: Any, response: Any, original: Callable[..., Any] = tool_calls.run_tools) -> None:
    held, response.held = response.held, None
    original(state, step, response)
    response.held = held


def _forgetful(state: Any, step: Any, response: Any, original: Callable[..., Any] = tool_calls.run_tools) -> None:
    for _ in range(2):
        original(state, step, response)
        for call in response.calls:
            call.phase = CallPhase.WRITTEN


CUT_OFF = [(CREATE, 0, 0), (CALL, 0, BOOKING), (CANCEL, 0, 0), (TOOL, 0, 0)]
TWO_OF_THEM = [(CREATE, 0, 0), (CALL, 0, BOOKING_GOES_ON), (CALL, 0, LOOKING_UP)]
GUESSED = [(SPEAK, 3, 0), (PAUSE, 0, 0), (HEAR, 0, 2), (CALL, 0, BOOKING), (PAUSE, 0, 0), (TOOL, 0, 0)]

BROKEN_ENGINES: dict[str, tuple[list[tuple[int, int, int]], Any, str, Any, str]] = {
    "stops with its response": (CUT_OFF, LiveResponse, "jobs", _all_jobs, "a side effect runs to its end"),
    "is forgotten with its response": (
        CUT_OFF, tool_calls, "detach", lambda *_: None, "the result of a side effect is never lost"),
    "loses a late result": (
        CUT_OFF, tool_calls, "finish_detached", _forgets, "the result of a side effect is never lost"),
    "loses every result": (
        CUT_OFF, Conversation, "add_result", lambda *_: None, "the result of a side effect is never lost"),
    "leaves a model waiting": (
        [*CUT_OFF, (CREATE, 0, 0), (CALL, 0, LOOKING_UP), (CANCEL, 0, 0)],
        answering, "_remove_unanswered_calls", lambda *_: None, "a call of an ended response has a result"),
    "runs a call again": (
        TWO_OF_THEM, tool_calls, "run_tools", _forgetful, "a side effect begins once"),
    "acts on a guess": (GUESSED, tool_calls, "run_tools", _eager, "speculation has no side effects"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN_ENGINES)
def test_an_engine_is_caught_that(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script, where, name, broken, law = BROKEN_ENGINES[fault]
    assert len(side_effects(play(script))) == 1  # the sound engine passes, and acts once
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(InvariantViolation, match=law):
        play(script)


def test_closing_gives_up_what_goes_on_and_records_that_nobody_knows() -> None:
    world = World(0, transcription=False, on_step=Invariants().check)
    world.step(CREATE, 0, 0)
    world.step(CALL, 0, BOOKING)
    (job_id,) = side_effects(world)
    world.step(CANCEL, 0, 0)
    world.give(i.Closing("client_left"))
    assert fx.CancelJob(job_id) in world.talk.effects
    records = [e for e in world.talk.effects if isinstance(e, fx.Persist) and e.kind == "item"]
    assert records[-1].body["item"]["output"] == tool_calls.OUTCOME_UNKNOWN  # type: ignore[index]
