"""What a caller has heard of an answer: what was sent."""

import numpy as np
import pytest

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.webrtc.playout import PlayoutQueue, SentPart

pytestmark = pytest.mark.requirement("C10")


def sound(ms: float, value: int = 1) -> Int16Array:
    return np.full(int(ms * 24), value, np.int16)


def play(playout: PlayoutQueue, frames: int) -> None:
    for _ in range(frames):
        playout.take()


def test_frames_leave_in_order_and_the_last_is_filled_up() -> None:
    playout = PlayoutQueue()
    playout.add("r1", "i1", 0, sound(30, 1))
    playout.add("r1", "i1", 0, sound(25, 2))
    first, second, third = (playout.take() for _ in range(3))
    assert first is not None and second is not None
    assert first.tolist() == [1] * 480
    assert second.tolist() == [1] * 240 + [2] * 240
    assert third is None  # the response may go on
    playout.response_over("r1")
    last = playout.take()
    assert last is not None and last.tolist() == [2] * 360 + [0] * 120
    assert playout.is_drained("r1") and playout.take() is None


def test_heard_is_what_was_sent() -> None:
    playout = PlayoutQueue()
    playout.add("r1", "i1", 0, sound(2_000))
    play(playout, 50)
    assert playout.clear() == [SentPart("i1", 0, 1_000)]
    assert playout.waiting == 0 and playout.take() is None
    assert playout.clear() == []


def test_nothing_is_cut_of_an_answer_that_was_sent_to_its_end() -> None:
    playout = PlayoutQueue()
    playout.add("r1", "i1", 0, sound(100))
    playout.response_over("r1")
    play(playout, 5)
    assert playout.clear() == []


def test_of_a_second_item_the_part_that_was_heard_is_told() -> None:
    playout = PlayoutQueue()
    playout.add("r1", "i1", 0, sound(1_000))
    playout.response_over("r1")
    playout.add("r2", "i2", 1, sound(1_000))
    play(playout, 75)
    assert playout.clear() == [SentPart("i2", 1, 500)]


def test_a_part_that_comes_in_two_runs_is_counted_from_its_own_beginning() -> None:
    playout = PlayoutQueue()
    playout.add("r1", "i1", 0, sound(200))
    playout.add("r2", "i2", 0, sound(200))
    playout.add("r1", "i1", 0, sound(400))
    play(playout, 25)
    assert playout.clear() == [SentPart("i1", 0, 300)]


def test_who_interrupts_before_a_second_answer_did_not_hear_it() -> None:
    playout = PlayoutQueue()
    playout.add("r1", "i1", 0, sound(100))
    playout.add("r2", "i2", 0, sound(100))
    play(playout, 4)
    assert playout.clear() == [SentPart("i1", 0, 80), SentPart("i2", 0, 0)]


def test_late_audio_of_an_answer_that_was_cut_is_not_played() -> None:
    playout = PlayoutQueue()
    playout.add("r1", "i1", 0, sound(100))
    play(playout, 2)
    playout.clear()
    playout.add("r1", "i1", 0, sound(100))
    assert playout.waiting == 0
    playout.response_over("r1")
    playout.add("r2", "i2", 0, sound(100))
    assert playout.waiting == 100 * 24


def test_after_a_loss_of_events_the_rest_of_the_answer_is_played_and_it_is_over() -> None:
    playout = PlayoutQueue()
    playout.add("r1", "i1", 0, sound(30))
    play(playout, 1)
    assert playout.take() is None  # less than a frame waits for more
    playout.all_over()
    assert playout.take() is not None and playout.is_drained("r1")


def test_the_response_that_plays_is_known() -> None:
    playout = PlayoutQueue()
    playout.add("r1", "i1", 0, sound(20))
    playout.add("r2", "i2", 0, sound(20))
    playout.take()
    assert playout.playing == "r1"
    assert not playout.is_drained("r1")  # more of it may come
    playout.response_over("r1")
    assert playout.is_drained("r1")
    playout.take()
    assert playout.playing == "r2"
