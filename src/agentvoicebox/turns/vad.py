"""Speech probabilities → whether the caller speaks. What that means for a turn is decided by the detector.

Two thresholds (hysteresis) keep a probability near the threshold from toggling the gate. It opens after several voiced windows
in a row, so that a click is no speech. It closes after `hangover_ms` without a voiced window, so that the stop inside
"tracking" does not close it.
"""

from enum import Enum

from agentvoicebox.audio.pcm import ms_of_samples

WINDOW_SAMPLES = 512  # 32 ms at 16 kHz; fixed by the Silero model
HYSTERESIS = 0.15  # Silero's own recommendation for the lower threshold
LEAST_THRESHOLD = 0.01  # the lower threshold stays above the model's output in silence


class GateChange(Enum):
    """What a window changed."""

    OPENED = "opened"
    CLOSED = "closed"


class SpeechGate:
    """A gate that is open while the caller speaks.

    Attributes:
        is_open: whether the caller speaks.
        onset_sample: start of the window in which the current (or last) stretch of speech began.
        voiced_end_sample: just after the last voiced window of that stretch.
        hangover_ms: how long the gate stays open after the last voiced window; may be changed at any time.
    """

    def __init__(self, threshold: float, hangover_ms: float) -> None:
        """A closed gate.

        Args:
            threshold: probability from which a window counts as speech, 0 to 1.
            hangover_ms: how long the gate stays open after the last voiced window.
        """
        self.configure(threshold, hangover_ms)
        self._run_samples = 0
        self.is_open = False
        self.onset_sample = 0
        self.voiced_end_sample = 0

    def configure(self, threshold: float, hangover_ms: float) -> None:
        """Use other values from now on (see `__init__`); an open gate stays open."""
        self._threshold = max(LEAST_THRESHOLD, threshold)
        self._lower = max(LEAST_THRESHOLD, threshold - HYSTERESIS)
        self.hangover_ms = hangover_ms

    @property
    def may_open(self) -> bool:
        """Whether the gate is closed, but the last windows were voiced: it may be about to open."""
        return self._run_samples > 0

    def silence_ms(self, window_end_sample: int) -> float:
        """How long ago the last stretch of speech ended."""
        return ms_of_samples(window_end_sample - self.voiced_end_sample)

    def feed(self, probability: float, window_end_sample: int, least_voiced_ms: float) -> GateChange | None:
        """Process the next window; returns what it changed.

        Args:
            probability: 0 to 1.
            window_end_sample: just after the window; the next call's is 512 more.
            least_voiced_ms: how long speech must last before a closed gate opens.
        """
        if self.is_open:
            if probability >= self._lower:
                self.voiced_end_sample = window_end_sample
            elif self.silence_ms(window_end_sample) >= self.hangover_ms:
                self.is_open = False
                return GateChange.CLOSED
            return None
        if probability < self._threshold:
            self._run_samples = 0
            return None
        self._run_samples += WINDOW_SAMPLES
        if ms_of_samples(self._run_samples) < least_voiced_ms:
            return None
        self.is_open = True
        self.onset_sample = window_end_sample - self._run_samples
        self.voiced_end_sample = window_end_sample
        self._run_samples = 0
        return GateChange.OPENED

    def restore(self, pause_sample: int | None, at_sample: int) -> None:
        """Go on from another gate's state: open at `at_sample`, or closed since `pause_sample`."""
        self.is_open = pause_sample is None
        self.voiced_end_sample = at_sample if pause_sample is None else pause_sample
        self._run_samples = 0

    def reset(self) -> None:
        """Close."""
        self.is_open = False
        self._run_samples = 0
