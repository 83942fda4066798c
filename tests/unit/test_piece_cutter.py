"""A recording is cut at pauses into pieces that hold all speech, in order, each short enough for a recogniser."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentvoicebox.audio.pcm import Int16Array, samples_of
from agentvoicebox.gateway.audio.piece_cutter import PieceCutter
from agentvoicebox.gateway.audio.recording_messages import SpeechPiece
from agentvoicebox.providers.stt.cutting import LONGEST_PIECE_S
from agentvoicebox.turns.vad import WINDOW_SAMPLES

RATE_HZ = 16_000


def pieces_of(spans: list[tuple[float, bool]]) -> tuple[list[SpeechPiece], Int16Array]:
    """The pieces of stretches of (seconds, whether there is speech), and the recording."""
    cutter, found, parts = PieceCutter(), list[SpeechPiece](), list[Int16Array]()
    for number, (seconds, is_speech) in enumerate(spans):
        for _ in range(round(seconds * RATE_HZ / WINDOW_SAMPLES)):
            noise = np.random.default_rng(len(parts) + number).integers(-9_000, 9_000, WINDOW_SAMPLES)
            parts.append(noise.astype(np.int16) if is_speech else np.zeros(WINDOW_SAMPLES, np.int16))
            found += cutter.feed(parts[-1], 0.9 if is_speech else 0.02)
    found += cutter.flush()
    return found, np.concatenate([np.zeros(0, np.int16), *parts])


def test_silence_has_no_pieces() -> None:
    assert pieces_of([(60.0, False)])[0] == []
    assert pieces_of([])[0] == []


def test_a_click_is_no_piece() -> None:
    assert pieces_of([(1.0, False), (0.032, True), (1.0, False)])[0] == []


def test_a_pause_of_a_second_ends_a_piece_and_times_are_those_of_the_speech() -> None:
    pieces, _ = pieces_of([(1.0, False), (2.0, True), (1.5, False), (3.0, True)])
    times = [(piece.start_sample / RATE_HZ, piece.end_sample / RATE_HZ) for piece in pieces]
    assert [time == pytest.approx(wanted, abs=0.1) for time, wanted in zip(times, [(1, 3), (4.5, 7.5)], strict=True)] == [
        True, True
    ]  # fmt: skip


def test_a_short_pause_ends_only_a_long_piece() -> None:
    assert len(pieces_of([(3.0, True), (0.5, False), (3.0, True)])[0]) == 1
    assert len(pieces_of([(9.0, True), (0.5, False), (3.0, True)])[0]) == 2
    assert len(pieces_of([(16.0, True), (0.3, False), (3.0, True)])[0]) == 2


def test_the_end_of_a_recording_ends_its_last_piece() -> None:
    pieces, recording = pieces_of([(1.0, True)])
    assert [piece.end_sample for piece in pieces] == [recording.size]


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    pieces, recording = pieces_of([(18.0, True), (0.16, False), (45.0, True)])
    assert len(pieces) == 3
    assert pieces[0].end_sample / RATE_HZ == pytest.approx(18.08, abs=0.1)
    assert np.array_equal(np.concatenate([samples_of(piece.pcm) for piece in pieces]), recording)


@given(st.lists(st.tuples(st.floats(0.0, 12.0), st.booleans()), max_size=12))
def test_all_speech_is_in_one_piece_each_in_order_and_short(spans: list[tuple[float, bool]]) -> None:
    pieces, recording = pieces_of(spans)
    ends = [0, *(piece.end_sample for piece in pieces)]
    assert all(end <= piece.start_sample < piece.end_sample for end, piece in zip(ends, pieces, strict=False))
    assert all(len(piece.pcm) // 2 <= (LONGEST_PIECE_S + 0.3) * RATE_HZ for piece in pieces)
    covered = np.zeros(recording.size, bool)
    for piece in pieces:
        covered[piece.start_sample : piece.end_sample] = True
    loud, missed = np.abs(recording) > 0, 0
    for window in range(0, recording.size, WINDOW_SAMPLES):
        missed += int(loud[window] and not covered[window])
    assert missed <= 2 * len(spans)  # clicks of a window or two
