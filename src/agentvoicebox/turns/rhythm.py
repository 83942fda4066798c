"""How long a caller pauses inside his turns, in this call so far."""

from agentvoicebox.audio.pcm import ms_of_samples

# A pause that is longer ends everyone's turn. A new turn that begins sooner was cut off from the one before.
LONGEST_PAUSE_MS = 1_500.0


class CallerRhythm:
    """One caller's.

    Attributes:
        longest_pause_ms: of the pauses after which the caller went on; 0 before the first.
    """

    def __init__(self) -> None:
        self.longest_pause_ms = 0.0
        self._pause_sample: int | None = None

    def paused(self, speech_end_sample: int) -> None:
        """The caller paused; `speech_end_sample` is just after the voice."""
        self._pause_sample = speech_end_sample

    def went_on(self, onset_sample: int) -> None:
        """The caller speaks again, in the same turn or in one that was cut off from it."""
        if self._pause_sample is None:
            return
        pause_ms = ms_of_samples(onset_sample - self._pause_sample)
        self._pause_sample = None
        if pause_ms <= LONGEST_PAUSE_MS:
            self.longest_pause_ms = max(self.longest_pause_ms, pause_ms)
