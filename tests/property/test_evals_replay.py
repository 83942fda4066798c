"""Whatever happened in a session, its recording replays: byte for byte with words, in its masked form without."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kit.kits import without_words
from tests.kit.recorded import MOVES, random_script, taped
from tests.kit.world import MODES

from agentvoicebox.engine import answering
from agentvoicebox.evals.replay import replay_effects
from agentvoicebox.interactions.from_log import decode_log, interaction_of_log
from agentvoicebox.interactions.interaction import Interaction, decode, encode
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.privacy.masks import masked_text

pytestmark = pytest.mark.requirement("B3.4-3.5", "C5")

SCRIPT = st.lists(st.tuples(st.integers(0, MOVES - 1), st.integers(0, 9), st.integers(0, 9)), max_size=60)
MODE = st.integers(0, len(MODES) - 1)


def kept(tape: object, *, keeps_words: bool, tmp_path_factory: pytest.TempPathFactory) -> Interaction:
    """As it comes back from a file."""
    recording = InteractionRecorder(tmp_path_factory.getbasetemp() / "unused", keeps_words=keeps_words)
    return decode(encode(recording.finished(tape)))  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(mode=MODE, script=SCRIPT, transcription=st.booleans(), keeps_words=st.booleans())
def test_every_recorded_session_replays_to_the_same_effects(
    mode: int,
    script: list[tuple[int, int, int]],
    transcription: bool,
    keeps_words: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tape = taped(mode, script, transcription=transcription)
    interaction = kept(tape, keeps_words=keeps_words, tmp_path_factory=tmp_path_factory)
    replay = replay_effects(interaction)
    assert replay is not None and (replay.verdict, replay.why) == ("same", "")
    if keeps_words:
        assert interaction.digests == tape.digests.hex(), "the digests are those of the live call, not of a rerun"


@settings(max_examples=50, deadline=None)
@given(mode=MODE, script=SCRIPT)
def test_a_log_read_from_the_store_tells_the_same_as_the_tape(mode: int, script: list[tuple[int, int, int]]) -> None:
    tape = taped(mode, script)
    entries = [msgspec.msgpack.encode(entry) for entry in tape.log]
    from_store = interaction_of_log(decode_log(entries)).interaction
    assert from_store == interaction_of_log(tape.log).interaction


@settings(max_examples=100, deadline=None)
@given(mode=MODE, script=SCRIPT)
def test_masking_twice_changes_nothing(mode: int, script: list[tuple[int, int, int]]) -> None:
    told = interaction_of_log(taped(mode, script).log).interaction
    once = without_words(told)
    assert without_words(once).log == once.log
    assert replay_effects(without_words(once)).verdict == "same"  # type: ignore[union-attr]


@given(st.text())
def test_a_mask_keeps_length_and_spaces_and_no_letter(text: str) -> None:
    masked = masked_text(text, keeps_abbreviations=False)
    assert len(masked) == len(text)
    assert [c.isspace() for c in masked] == [c.isspace() for c in text]
    assert not {c for c in masked if c.isalpha()} - {"x", "X"} and not {c for c in masked if c.isnumeric()} - {"0"}


@pytest.mark.parametrize("keeps_words", [True, False])
def test_an_engine_that_behaves_otherwise_is_found_and_named(
    keeps_words: bool, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tapes = [taped(0, random_script(seed)) for seed in range(20)]
    interactions = [kept(tape, keeps_words=keeps_words, tmp_path_factory=tmp_path_factory) for tape in tapes]
    assert all(replay_effects(each).verdict == "same" for each in interactions)  # type: ignore[union-attr]
    end = answering.end
    monkeypatch.setattr(answering, "end", lambda state, step, *a: (step.event_id(), end(state, step, *a))[1])
    replays = [replay_effects(each) for each in interactions]
    different = [each for each in replays if each and each.verdict == "different"]
    assert len(different) >= 10
    assert all(each.why.startswith("other effects from input ") for each in different)


def test_a_recording_that_was_tampered_with_is_found(tmp_path_factory: pytest.TempPathFactory) -> None:
    interaction = kept(taped(0, random_script(3)), keeps_words=True, tmp_path_factory=tmp_path_factory)
    shortened = msgspec.structs.replace(interaction, log=interaction.log[:-1])
    late = msgspec.structs.replace(
        interaction,
        log=(
            *interaction.log[:-1],
            (interaction.log[-1][0], msgspec.convert({"type": "time_passed"}, interaction_input())),
        ),
    )
    assert replay_effects(shortened).verdict == "different"  # type: ignore[union-attr]
    assert replay_effects(late).verdict == "different"  # type: ignore[union-attr]


def interaction_input() -> object:
    from agentvoicebox.engine.inputs import Input

    return Input
