"""The audio of one utterance, addressed by the caller's absolute sample numbers."""

import numpy as np

from agentvoicebox.audio.pcm import Int16Array, samples_of
from agentvoicebox.audio.rates import INPUT_RATE_HZ

LONGEST_S = 780  # beyond what `broker/keys.AUDIO_IN_MAX` entries of 20 ms hold
FIRST_ROOM_S = 8  # most utterances are shorter; the buffer doubles when needed


class UtteranceAudio:
    """Grows at its end; a gap is silence, and duplicates are stored once."""

    def __init__(self, start_sample: int) -> None:
        """Audio whose first sample is number `start_sample`; earlier ones are dropped."""
        self.start_sample = start_sample
        self._samples: Int16Array = np.zeros(FIRST_ROOM_S * INPUT_RATE_HZ, np.int16)
        self._count = 0

    @property
    def end_sample(self) -> int:
        """One past the last sample so far."""
        return self.start_sample + self._count

    def add(self, at_sample: int, pcm: bytes) -> None:
        """Add 16-bit PCM that begins at `at_sample`.

        Raises:
            ValueError: an odd number of bytes, or a position that no utterance reaches.
        """
        samples = samples_of(pcm)
        place = at_sample - self.start_sample
        if place < 0:
            samples, place = samples[-place:], 0
        end = place + samples.size
        if end > LONGEST_S * INPUT_RATE_HZ:
            raise ValueError("audio at a position that no utterance reaches")
        while end > self._samples.size:
            self._samples = np.concatenate((self._samples, np.zeros_like(self._samples)))
        self._samples[place:end] = samples
        self._count = max(self._count, end)

    def end_at(self, sample: int) -> None:
        """Drop all samples from `sample` on."""
        self._count = max(0, min(self._count, sample - self.start_sample))

    def between(self, start_sample: int, end_sample: int) -> Int16Array:
        """A copy of the samples from `start_sample` to `end_sample`, as far as they have arrived."""
        first = max(0, start_sample - self.start_sample)
        last = min(self._count, end_sample - self.start_sample)
        return self._samples[first : max(first, last)].copy()
