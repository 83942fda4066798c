"""Whether the agent is heard now, and whether it asks something, by a clock that tests move."""

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.clock import ManualClock
from agentvoicebox.gateway.audio.playback_clock import ANSWERS_EARLY_S, PlaybackClock

SECOND = OUTPUT_RATE_HZ


async def test_a_question_that_ends_the_answer_asks_from_just_before_it_is_heard_until_something_else_is_said() -> None:
    clock = ManualClock()
    playback = PlaybackClock(lambda is_speaking: None, clock)
    playback.play(2 * SECOND)
    playback.play(SECOND, is_question=True)
    playback.play(SECOND, is_question=True)
    assert not playback.is_asking
    clock.advance(2 - ANSWERS_EARLY_S - 0.01)
    assert not playback.is_asking
    clock.advance(0.02)
    assert playback.is_asking
    clock.advance(60)
    assert playback.is_asking  # until it is answered
    playback.play(SECOND)
    assert not playback.is_asking
    playback.stop()


async def test_a_question_in_the_middle_of_an_answer_asks_nothing() -> None:
    playback = PlaybackClock(lambda is_speaking: None, ManualClock())
    playback.play(SECOND, is_question=True)
    playback.play(SECOND)
    assert not playback.is_asking
    playback.stop()
