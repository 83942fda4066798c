"""What a caller has heard of an answer: what was sent, less what is still on its way."""

import numpy as np
import pytest

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.webrtc.opus import FRAME_SAMPLES
from agentvoicebox.webrtc.playout import PEER_BUFFER_S, Heard, Playout

pytestmark = pytest.mark.requirement("C10")


def sound(ms: float, value: int = 1) -> Int16Array:
    return np.full(int(ms * 24), value, np.int16)


def play(playout: Playout, frames: int, start_s: float = 0.0) -> float:
    """Send so many frames; returns when the next is due."""
    for index in range(frames):
        playout.take(start_s + index * 0.02)
    return start_s + frames * 0.02


def test_frames_leave_in_order_and_the_last_is_filled_up() -> None:
    playout = Playout()
    playout.add("r1", "i1", 0, sound(30, 1))
    playout.add("r1", "i1", 0, sound(25, 2))
    first, second, third = (playout.take(index * 0.02) for index in range(3))
    assert first is not None and second is not None
    assert first.tolist() == [1] * 480
    assert second.tolist() == [1] * 240 + [2] * 240
    assert third is None  # the response may go on
    playout.response_over("r1")
    last = playout.take(0.06)
    assert last is not None and last.tolist() == [2] * 360 + [0] * 120
    assert playout.is_drained("r1") and playout.take(0.08) is None


def test_heard_is_what_was_sent_before_what_is_on_its_way() -> None:
    playout = Playout()
    playout.add("r1", "i1", 0, sound(2_000))
    now_s = play(playout, 50)
    assert playout.clear(now_s, round_trip_s=0.0) == [
        Heard("i1", 0, pytest.approx(1000 - PEER_BUFFER_S * 1000, abs=20))
    ]
    assert playout.waiting == 0 and playout.take(now_s) is None


def test_a_long_way_to_the_caller_counts_as_not_heard() -> None:
    near, far = Playout(), Playout()
    for playout in (near, far):
        playout.add("r1", "i1", 0, sound(2_000))
    (at_once,) = near.clear(play(near, 50), round_trip_s=0.0)
    (later,) = far.clear(play(far, 50), round_trip_s=0.4)
    assert at_once.audio_end_ms - later.audio_end_ms == pytest.approx(200, abs=20)


def test_nothing_is_heard_of_what_was_only_just_sent() -> None:
    playout = Playout()
    playout.add("r1", "i1", 0, sound(2_000))
    assert playout.clear(play(playout, 2), 0.0) == [Heard("i1", 0, 0)]


def test_what_was_played_long_ago_is_not_reported_and_of_a_second_item_the_part_is() -> None:
    playout = Playout()
    playout.add("r1", "i1", 0, sound(1_000))
    playout.response_over("r1")
    now_s = play(playout, 50)
    playout.add("r2", "i2", 1, sound(1_000))
    now_s = play(playout, 25, now_s)
    (heard,) = playout.clear(now_s, 0.0)
    assert (heard.item_id, heard.content_index) == ("i2", 1)
    assert heard.audio_end_ms == pytest.approx(500 - PEER_BUFFER_S * 1000, abs=20)


def test_a_part_that_comes_in_two_runs_is_counted_from_its_own_beginning() -> None:
    playout = Playout()
    playout.add("r1", "i1", 0, sound(200))
    playout.add("r2", "i2", 0, sound(200))
    playout.add("r1", "i1", 0, sound(400))
    now_s = play(playout, 40)
    assert {heard.item_id for heard in playout.clear(now_s, 0.0)} == {"i1"}
    playout.add("r3", "i3", 0, sound(100))
    assert playout.waiting == 2_400


def test_who_interrupts_between_two_answers_did_not_hear_the_second() -> None:
    playout = Playout()
    playout.add("r1", "i1", 0, sound(100))
    playout.add("r2", "i2", 0, sound(100))
    heard = playout.clear(play(playout, 4), 0.0)
    assert [each.item_id for each in heard] == ["i1", "i2"]
    assert heard[1].audio_end_ms == 0


def test_late_audio_of_an_answer_that_was_cut_is_not_played() -> None:
    playout = Playout()
    playout.add("r1", "i1", 0, sound(100))
    playout.clear(play(playout, 2), 0.0)
    playout.add("r1", "i1", 0, sound(100))
    assert playout.waiting == 0
    playout.response_over("r1")
    playout.add("r2", "i2", 0, sound(100))
    assert playout.waiting == 100 * 24


def test_the_response_that_plays_is_known() -> None:
    playout = Playout()
    playout.add("r1", "i1", 0, sound(20))
    playout.add("r2", "i2", 0, sound(20))
    playout.take(0.0)
    assert playout.playing == "r1"
    assert not playout.is_drained("r1")  # more of it may come
    playout.response_over("r1")
    assert playout.is_drained("r1")
    playout.take(0.02)
    assert playout.playing == "r2"


def test_a_frame_has_20_ms() -> None:
    assert FRAME_SAMPLES == 480
