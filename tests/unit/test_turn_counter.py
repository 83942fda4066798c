"""Interruptions and turns that were ended too early, as the metrics count them."""

import pytest

from agentvoicebox.engine.effects import Send, SetTurnDetection
from agentvoicebox.engine.inputs import Input, SpeechStarted, SpeechStopped
from agentvoicebox.gateway.call.turn_counter import GOES_ON_WITHIN_S, TurnCounter
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.metrics_page import metrics_page
from agentvoicebox.wire.response import Response, ResponseAudio, ResponseAudioOutput
from agentvoicebox.wire.server_events import ResponseDone
from agentvoicebox.wire.session_config import AudioFormat, TurnDetection

pytestmark = pytest.mark.requirement("A13")

STARTS, STOPS = SpeechStarted(0), SpeechStopped(16_000, 12_000)


class Turns:
    """A counter whose caller hears an answer, or not."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.is_playing = False
        self.counter = TurnCounter(self.metrics, lambda: self.is_playing)
        self.counter.configure([SetTurnDetection(TurnDetection())])

    def step(self, now_s: float, given: Input, *effects: Send) -> None:
        self.counter.count(now_s, given, effects)

    def counted(self) -> tuple[float, float]:
        """Interruptions and false ends."""
        page = dict(
            line.split(" ") for line in metrics_page(self.metrics.registry)[0].decode().splitlines() if line[0] != "#"
        )
        return float(page["avb_interruptions_total"]), float(page["avb_false_cutoffs_total"])


@pytest.fixture
def turns() -> Turns:
    return Turns()


def test_speech_over_an_answer_interrupts_it(turns: Turns) -> None:
    turns.step(1.0, STARTS)
    assert turns.counted() == (0, 0)
    turns.is_playing = True
    turns.step(9.0, STARTS)
    assert turns.counted() == (1, 0)


def test_an_answer_without_audio_is_interrupted_by_its_end(turns: Turns) -> None:
    audio = ResponseAudio(output=ResponseAudioOutput(format=AudioFormat(), voice="joe"))
    done = ResponseDone(event_id="event_1", response=Response(id="resp_1", status="cancelled", audio=audio))
    turns.step(1.0, STARTS, Send(done))
    assert turns.counted() == (1, 0)


def test_speech_interrupts_nothing_where_the_session_says_so(turns: Turns) -> None:
    turns.is_playing = True
    for detection in (TurnDetection(interrupt_response=False), None):
        turns.counter.configure([SetTurnDetection(detection)])
        turns.step(9.0, STARTS)
    assert turns.counted() == (0, 0)


@pytest.mark.parametrize(("pause_s", "count"), [(GOES_ON_WITHIN_S, 1), (GOES_ON_WITHIN_S + 0.01, 0)])
def test_a_turn_whose_caller_goes_on_at_once_was_ended_too_early(turns: Turns, pause_s: float, count: int) -> None:
    turns.step(0.0, STARTS)
    turns.step(2.0, STOPS)
    turns.step(2.0 + pause_s, STARTS)
    turns.step(2.1 + pause_s, STARTS)  # a second start after one end is no second fault
    assert turns.counted() == (0, count)


def test_a_caller_who_goes_on_over_an_answer_interrupts_it_and_is_no_false_end(turns: Turns) -> None:
    turns.step(0.0, STARTS)
    turns.step(2.0, STOPS)
    turns.is_playing = True
    turns.step(2.5, STARTS)
    assert turns.counted() == (1, 0)
