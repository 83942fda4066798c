"""The corpus of turns, its recording, and what the detector makes of a part of it: neither waits nor cut-offs may grow."""

from collections import Counter

import pytest
from benchmarks.endpointing.corpus import LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS, TUNING, UNSEEN, VOICES, corpus
from benchmarks.endpointing.frontier import Row, frontier, read_frontiers
from benchmarks.endpointing.page import PAGE, text
from benchmarks.endpointing.recorded_turn import read_recording

pytestmark = pytest.mark.requirement("C12")

FEW = 48  # turns of unseen voices that are replayed here


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {row.setting: row for row in frontier(read_recording(), UNSEEN, "as recorded", FEW).rows}


def test_the_corpus_has_six_hundred_turns_of_voices_that_are_either_tuned_on_or_unseen() -> None:
    turns = corpus()
    assert len(turns) >= 600 and [turn.number for turn in turns] == list(range(len(turns)))
    assert not set(VOICES[TUNING]) & set(VOICES[UNSEEN])
    assert Counter(turn.split for turn in turns)[UNSEEN] == len(turns) // 2


def test_pauses_are_exact_and_of_all_lengths() -> None:
    pauses = [pause for turn in corpus() for pause in turn.pauses_ms]
    assert SHORTEST_PAUSE_MS <= min(pauses) < 250 and 1_150 < max(pauses) <= LONGEST_PAUSE_MS
    assert all(len(turn.pauses_ms) == max(0, len(turn.pieces) - 1) for turn in corpus())


def test_what_is_recorded_is_the_corpus() -> None:
    turns = corpus()
    for each in read_recording().turns:
        turn = turns[each.number]
        assert (each.kind, each.voice, each.pauses_ms) == (turn.kind, turn.speaker.name, turn.pauses_ms)
        assert each.end_sample >= each.last_piece_sample + sum(turn.pauses_ms[:-1])


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == text(read_recording(), read_frontiers()), "make frontier"


def test_evidence_cuts_fewer_callers_off_than_a_silence_that_takes_as_long(rows: dict[str, Row]) -> None:
    high, silence = rows["semantic_vad high, delivery"], rows["server_vad 700"]
    assert high.sound_p50 < silence.sound_p50
    assert high.cut_paused < 0.7 * silence.cut_paused
    assert high.cut_plain == 0


def test_less_eagerness_cuts_fewer_callers_off(rows: dict[str, Row]) -> None:
    cuts = [rows[f"semantic_vad {eagerness}, delivery"].cut_paused for eagerness in ("high", "medium", "low")]
    assert cuts == sorted(cuts, reverse=True) and cuts[0] > cuts[-1]


def test_an_agent_that_knows_its_numbers_leaves_no_long_silence_and_cuts_fewer_callers_off(
    rows: dict[str, Row],
) -> None:
    knows, does_not = rows["semantic_vad low, delivery"], rows["semantic_vad low, any agent"]
    assert knows.decision_p95 < 0.7 * does_not.decision_p95
    assert rows["semantic_vad high, delivery"].cut_paused <= rows["semantic_vad high, any agent"].cut_paused
