"""Counts, for the metrics, answers that the caller interrupted and turns that were ended too early. Changes nothing."""

from collections.abc import Callable, Iterable

from agentvoicebox.engine.effects import Effect, Send, SetTurnDetection
from agentvoicebox.engine.inputs import Input, SpeechStarted, SpeechStopped
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.wire.server_events import ResponseDone

GOES_ON_WITHIN_S = 1.5  # after the end of a turn: then it was no end


class TurnCounter:
    """One session's.

    Args:
        metrics: of this gateway.
        is_playing: whether an answer is playing at the caller.
    """

    def __init__(self, metrics: Metrics, is_playing: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._is_playing = is_playing
        self._may_interrupt = True  # as sessions begin, and most go on
        self._ended_s: float | None = None

    def configure(self, effects: Iterable[Effect]) -> None:
        """The effects of a step, also of one that another gateway made: whether speech interrupts answers from now on."""
        for effect in effects:
            if isinstance(effect, SetTurnDetection):
                detection = effect.turn_detection
                self._may_interrupt = detection is not None and detection.interrupt_response

    def count(self, now_s: float, given: Input, effects: Iterable[Effect]) -> None:
        """A step of the engine at session time `now_s`, before its effects are carried out."""
        if isinstance(given, SpeechStopped):
            self._ended_s = now_s
        elif isinstance(given, SpeechStarted):
            is_playing = self._is_playing()
            goes_on = self._ended_s is not None and now_s - self._ended_s <= GOES_ON_WITHIN_S
            if goes_on and not is_playing:  # over an answer it may be an interruption as well
                self._metrics.cut_off()
            self._ended_s = None
            if self._may_interrupt and (is_playing or any(map(_ends_answer, effects))):
                self._metrics.interrupted()


def _ends_answer(effect: Effect) -> bool:
    return isinstance(effect, Send) and isinstance(effect.event, ResponseDone)
