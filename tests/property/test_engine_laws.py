"""The laws of a conversation hold in every lawful world, and each law catches an engine that breaks it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.world import MODES, World, replay

from agentvoicebox.engine import answering, listening
from agentvoicebox.engine import effects as fx
from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.invariants import Broken, Invariants
from agentvoicebox.engine.session import Engine
from agentvoicebox.wire import server_events as ev

MOVES = 23
SCRIPT = st.lists(st.tuples(st.integers(0, MOVES - 1), st.integers(0, 9), st.integers(0, 9)), max_size=60)
MODE = st.integers(0, len(MODES) - 1)


def play(mode: int, script: list[tuple[int, int, int]], transcription: bool) -> World:
    world = World(mode, transcription=transcription, on_step=Invariants().check)
    for move, a, b in script:
        world.step(move, a, b)
    world.hang_up()
    return world


@settings(max_examples=400, deadline=None)
@given(mode=MODE, script=SCRIPT, transcription=st.booleans())
def test_every_law_holds_in_every_lawful_world(
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


# -- each law catches an engine that breaks it -----------------------------------------------------------------------


def _twice(original: Callable[..., Any]) -> Callable[..., Any]:
    def broken(state: Any, step: Any, response: Any, *args: Any) -> None:
        original(state, step, response, *args)
        step.send(step.effects[-2].event if isinstance(step.effects[-1], fx.Persist) else step.effects[-1].event)

    return broken


def _without(kind: type) -> Callable[..., Any]:
    original = Engine.receive

    def broken(self: Engine, given_: i.Input, now_s: float) -> list[fx.Effect]:
        return [e for e in original(self, given_, now_s) if not (isinstance(e, fx.Send) and isinstance(e.event, kind))]

    return broken


def _no_cancels(self: Engine, given_: i.Input, now_s: float, original: Any = Engine.receive) -> list[fx.Effect]:
    return [e for e in original(self, given_, now_s) if not isinstance(e, fx.CancelJob)]


def _same_event_ids(self: Engine, given_: i.Input, now_s: float, original: Any = Engine.receive) -> list[fx.Effect]:
    effects = original(self, given_, now_s)
    return [
        fx.Send(msgspec.structs.replace(e.event, event_id="event_same")) if isinstance(e, fx.Send) else e
        for e in effects
    ]


def _talks_after_close(self: Engine, given_: i.Input, now_s: float, original: Any = Engine.receive) -> list[fx.Effect]:
    effects = original(self, given_, now_s)
    late = fx.Send(ev.InputAudioBufferCleared(event_id="event_late"))
    return [*effects, late] if effects and isinstance(effects[-1], fx.Close) else effects


def _heard_too_much(state: Any, step: Any) -> None:
    for entry in state.conversation.entries:
        entry.heard_ms = entry.sent_ms + 1


BROKEN_ENGINES: dict[str, tuple[Any, str, Any]] = {
    "one terminal for each response|event ids are unique": (answering, "end", _twice(answering.end)),
    "the old response ends before the new turn is committed": (listening, "interrupt", lambda state, step: None),
    "each item added has its done": (Engine, "receive", _without(ev.ResponseOutputItemDone)),
    "each part added has its done": (Engine, "receive", _without(ev.ResponseContentPartDone)),
    "no content outside a live response": (Engine, "receive", _without(ev.ResponseCreated)),
    "every job was ended or cancelled": (Engine, "receive", _no_cancels),
    "event ids are unique": (Engine, "receive", _same_event_ids),
    "nothing follows close": (Engine, "receive", _talks_after_close),
    "heard is at most what was sent": (
        listening,
        "_note_heard",
        _heard_too_much,
    ),
    "the next deadline lies ahead": (Engine, "deadline", lambda self: 0.0),
    "speech stops in an open turn": (Engine, "receive", _without(ev.InputAudioBufferSpeechStarted)),
}

A_LONG_CALL = [
    (0, 3, 0), (1, 0, 0), (2, 0, 2), (1, 0, 0), (2, 0, 2), (3, 1, 3), (5, 1, 4), (9, 2, 1), (0, 3, 0), (1, 0, 0),
    (1, 0, 0), (2, 0, 2), (3, 0, 3), (5, 0, 4), (6, 0, 4), (9, 0, 0), (12, 0, 0), (3, 0, 2), (9, 1, 0), (0, 3, 0),
]  # fmt: skip


@pytest.mark.parametrize("law", BROKEN_ENGINES)
def test_a_broken_engine_is_caught(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, broken = BROKEN_ENGINES[law]
    play(3, A_LONG_CALL, True)  # the sound engine passes
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(Broken, match=law):
        play(3, A_LONG_CALL, True)
