"""Both sides of a call on one time line: what was heard when, gaps as silence, and nothing that the caller cut off."""

import itertools

import numpy as np
import pytest

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.gateway.audio.heard_audio import MOST_AHEAD_S, HeardAudio, HeardSide, StereoMixer

RATE_HZ = 1_000


def loud(seconds: float, rate_hz: int = RATE_HZ, level: int = 5) -> Int16Array:
    return np.full(round(seconds * rate_hz), level, np.int16)


def spans(samples: Int16Array) -> list[tuple[int, int, int]]:
    """Runs of equal samples that are no silence: (level, from, to)."""
    edges = np.flatnonzero(np.diff(samples, prepend=0, append=0))
    runs = [(int(samples[start]), int(start), int(end)) for start, end in itertools.pairwise(edges)]
    return [run for run in runs if run[0]]


def test_audio_lies_where_it_was_heard_with_silence_before_and_between() -> None:
    side = HeardSide(RATE_HZ)
    side.put(loud(0.5), 1.0)
    side.put(loud(0.5, level=6), 3.0)
    assert spans(side.take(4.0)) == [(5, 1000, 1500), (6, 3000, 3500)]


def test_what_comes_early_waits_behind_what_is_heard() -> None:
    side = HeardSide(RATE_HZ)
    for level in (1, 2, 3):
        side.put(loud(1.0, level=level), 0.0)
    assert spans(side.take(3.0)) == [(1, 0, 1000), (2, 1000, 2000), (3, 2000, 3000)]


def test_a_frame_that_is_a_little_late_makes_no_gap() -> None:
    side = HeardSide(RATE_HZ, jitter_s=0.3)
    side.put(loud(0.5), 0.0)
    side.put(loud(0.5), 0.7)
    assert spans(side.take(2.0)) == [(5, 0, 1000)]
    side.put(loud(0.5), 2.5)
    assert spans(side.take(3.0)) == [(5, 500, 1000)]


def test_what_the_caller_cut_off_was_never_heard() -> None:
    side = HeardSide(RATE_HZ)
    side.put(loud(5.0), 0.0)
    side.cut(1.2)
    side.put(loud(0.5, level=7), 2.0)
    assert spans(side.take(4.0)) == [(5, 0, 1200), (7, 2000, 2500)]
    side.cut(1.0)  # that is over
    assert side.take(4.5).any() == np.False_


@pytest.mark.parametrize("step_s", [0.25, 0.7, 1.0, 10.0])
def test_stretches_join_to_the_whole_however_they_are_taken(step_s: float) -> None:
    def fed() -> HeardSide:
        side = HeardSide(RATE_HZ)
        for at_s in (0.1, 0.3, 2.0, 4.9):
            side.put(loud(0.6, level=round(at_s * 10)), at_s)
        return side

    whole, side = fed().take(6.0), fed()
    ends_s = [*np.arange(step_s, 6.0, step_s), 6.0]
    assert np.array_equal(np.concatenate([side.take(end_s) for end_s in ends_s]), whole)


def test_a_side_that_comes_far_too_fast_is_kept_up_to_a_bound() -> None:
    side = HeardSide(RATE_HZ)
    for _ in range(20):
        side.put(loud(10.0), 0.0)
    assert spans(side.take(300.0)) == [(5, 0, round(MOST_AHEAD_S * RATE_HZ))]


def test_the_caller_is_left_and_the_agent_is_right_at_the_same_moment() -> None:
    heard, mixer = HeardAudio(), StereoMixer()
    heard.caller_said(loud(0.5, 16_000, level=1_000), 1.5)  # spoken from 1.0 s on
    heard.agent_said(loud(0.5, 24_000, level=2_000), 2.0)
    mixed = np.concatenate([mixer.mix(*heard.take(float(end_s))) for end_s in range(1, 5)])
    assert mixed.shape == (4 * 16_000, 2)
    starts = [int(np.flatnonzero(np.abs(mixed[:, side]) > 500)[0]) for side in (0, 1)]
    assert starts[0] == 16_000
    assert starts[1] == pytest.approx(32_000, abs=160)  # 10 ms
    lengths = [int(np.count_nonzero(np.abs(mixed[:, side]) > 500)) for side in (0, 1)]
    assert lengths == [pytest.approx(8_000, abs=160)] * 2
