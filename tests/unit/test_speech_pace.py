"""How much speech one call gets: its answers at once, and no more than it can hear (C11)."""

import pytest

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.gateway.call.speech_pace import SpeechPace

pytestmark = pytest.mark.requirement("C11")


def text(seconds: float, speed: float = 1.0) -> Synthesise:
    return Synthesise("resp_1", "x" * round(15 * seconds), "alloy", speed)


def test_an_answer_is_spoken_at_once_and_a_stream_of_answers_at_the_rate() -> None:
    clock = ManualClock()
    pace = SpeechPace(1.5, clock)
    assert [pace.take(text(6)), pace.take(text(6))] == [0, 0]
    assert pace.take(text(6)) == pytest.approx(4.0)
    clock.advance(4.0)
    assert pace.take(text(3)) == pytest.approx(2.0)


def test_a_caller_who_interrupts_every_answer_is_served_without_a_wait() -> None:
    clock = ManualClock()
    pace = SpeechPace(1.5, clock)
    for _ in range(100):  # eight seconds are synthesised ahead, three of them are heard, and a question takes three
        assert pace.take(text(4)) == pace.take(text(4)) == 0
        clock.advance(6.0)


def test_what_is_not_spoken_is_not_charged_and_slow_speech_counts_as_long_as_it_lasts() -> None:
    pace = SpeechPace(1.5, ManualClock())
    for _ in range(20):
        assert pace.take(text(10)) == 0
        pace.give_back(text(10))
    assert pace.take(text(6, speed=0.5)) == 0  # twelve seconds: all there are
    assert pace.take(text(2)) == pytest.approx(2 / 1.5)


def test_without_a_limit_nothing_waits() -> None:
    pace = SpeechPace(0, ManualClock())
    assert [pace.take(text(60)) for _ in range(100)] == [0] * 100
