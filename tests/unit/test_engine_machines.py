"""The tables of the engine's machines: legal pairs are taken by real flows, illegal ones raise, and the diagrams are theirs."""

import importlib.util
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.kit import broken_engines, stored_sessions
from tests.kit.broken_engines import FAULTS
from tests.kit.conversation import LOOKUP, Call, Talk

from agentvoicebox.engine import inputs as i
from agentvoicebox.engine.machine import IllegalTransition, Machine
from agentvoicebox.engine.machines import MACHINES
from agentvoicebox.engine.session import Engine
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire.session_config import TurnDetection

ROOT = Path(__file__).parents[2]


def pairs(machine: Machine[Any, Any]) -> Iterator[tuple[StrEnum, StrEnum]]:
    """Every (phase, event) that the machine's types allow."""
    phase, event = next(iter(machine.transitions))
    for each_phase in type(phase):
        for each_event in type(event):
            yield each_phase, each_event


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_legal_pair_leads_on_and_an_illegal_one_raises(machine: Machine[Any, Any]) -> None:
    for phase, event in pairs(machine):
        following = machine.transitions.get((phase, event))
        if following is not None:
            assert machine.next(phase, event) is following
            continue
        with pytest.raises(IllegalTransition, match=f"{machine.name}: {event} is illegal in phase {phase}"):
            machine.next(phase, event)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_phase_is_reached_and_every_event_is_used(machine: Machine[Any, Any]) -> None:
    reached = {*machine.initial, *machine.transitions.values()}
    assert {phase for phase, _ in pairs(machine)} == reached
    assert {event for _, event in pairs(machine)} == {event for _, event in machine.transitions}
    assert machine.final


def test_every_transition_is_taken_by_some_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, set[tuple[StrEnum, StrEnum]]] = {machine.name: set() for machine in MACHINES}

    def next_phase(self: Machine[Any, Any], phase: StrEnum, event: StrEnum, original: Any = Machine.next) -> StrEnum:
        taken[self.name].add((phase, event))
        following: StrEnum = original(self, phase, event)
        return following

    monkeypatch.setattr(Machine, "next", next_phase)
    for flow in (*stored_sessions.FLOWS, *MORE_FLOWS):
        flow()
    for fault in FAULTS:
        broken_engines.play(fault.script, fault.mode)
    for machine in MACHINES:
        assert taken[machine.name] == set(machine.transitions), machine.name


# -- flows for what the others leave out -----------------------------------------------------------------------------


def _client_commits_while_speaking() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.client(ce.InputAudioBufferCommit(), 16_000)


def _client_clears_in_a_pause() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.client(ce.InputAudioBufferClear(), 4_000)
    talk.give(i.SpeechStarted(8_000))
    talk.give(i.SpeechPaused(16_000))
    talk.client(ce.InputAudioBufferClear(), 20_000)


def _recogniser_fails_in_each_phase() -> None:
    cases: list[tuple[TurnDetection | None, list[i.Input]]] = [
        (None, [i.AudioArrived(0)]),
        (TurnDetection(), [i.SpeechStarted(0), i.SpeechPaused(9_000)]),
    ]
    for turn_detection, facts in cases:
        talk = Talk(turn_detection=turn_detection)
        for fact in facts:
            talk.give(fact)
        talk.give(i.JobFailed(talk.open_job("transcribe").job_id, "stt_failed", "It broke."))
        talk.client(ce.InputAudioBufferCommit(), 16_000)


def _another_gateway_finds_the_pause_again() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.give(i.SpeechPaused(9_000))
    talk.engine = Engine.restore(talk.engine.snapshot())
    talk.give(i.SpeechPaused(9_000))


def _a_pause_that_is_not_in_the_snapshot_ends() -> None:
    talk = Talk()
    talk.give(i.SpeechStarted(0))
    talk.engine = Engine.restore(talk.engine.snapshot())
    talk.give(i.SpeechResumed())


def _session_closes_before_the_transcript() -> None:
    talk = Talk()
    talk.speech(0, 16_000, None)
    talk.give(i.Closing("client_left"))


def _cancelled_in_each_phase() -> None:
    talk = Talk()
    talk.speech(0, 16_000, None)
    talk.client(ce.ResponseCancel())
    talk = Talk()
    talk.client(ce.ResponseCreate())
    talk.client(ce.ResponseCancel())
    talk.client(ce.ResponseCreate())
    talk.give(i.ToolCallDelta(talk.jobs[-1].job_id, 0, LOOKUP, "{"))
    talk.client(ce.ResponseCancel())
    talk.client(ce.ResponseCreate())
    talk.model(calls=[Call(LOOKUP, "{}")])
    talk.client(ce.ResponseCancel())


def _client_and_server_tools_in_one_generation() -> None:
    talk = Talk(client_tool="open_door")
    talk.client(ce.ResponseCreate())
    talk.model(calls=[Call("open_door", "{}"), Call(LOOKUP, "{}")])
    talk.tool("{}")


def _a_tool_that_does_not_exist() -> None:
    talk = Talk()
    talk.client(ce.ResponseCreate())
    talk.model(calls=[Call("look_further", "{}")])


MORE_FLOWS = (
    _a_tool_that_does_not_exist,
    _client_commits_while_speaking, _client_clears_in_a_pause, _recogniser_fails_in_each_phase,
    _another_gateway_finds_the_pause_again, _a_pause_that_is_not_in_the_snapshot_ends,
    _session_closes_before_the_transcript, _cancelled_in_each_phase, _client_and_server_tools_in_one_generation,
)  # fmt: skip


# -- the diagrams ----------------------------------------------------------------------------------------------------


def _diagrams() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_diagrams", ROOT / "docs" / "diagrams" / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_diagram_is_what_its_table_gives(machine: Machine[Any, Any]) -> None:
    make = _diagrams()
    assert make.path_of(machine).read_text() == make.page(machine)


def test_there_is_a_diagram_for_each_machine_and_no_other() -> None:
    assert {path.stem for path in (ROOT / "docs" / "diagrams").glob("*.md")} == {machine.name for machine in MACHINES}
