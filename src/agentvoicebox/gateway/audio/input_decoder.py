"""The caller's bytes → 16 kHz samples, in the input format that the session has now.

Samples are made in blocks, when they can be used: most of what a small frame costs is the calls, not the arithmetic.
"""

import numpy as np

from agentvoicebox.audio.g711 import decode_alaw, decode_ulaw
from agentvoicebox.audio.pcm import Int16Array, SampleCutter
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.audio.resample import Resampler
from agentvoicebox.wire.audio_config import AudioFormat

NOTHING = np.zeros(0, np.int16)
NOTHING.setflags(write=False)


class InputDecoder:
    """One session's input in one format; a new format takes a new decoder.

    Args:
        input_format: how the client encodes its samples.
        start_sample: position of the first sample, 16 kHz samples since the session began.
    """

    def __init__(self, input_format: AudioFormat, start_sample: int) -> None:
        self.input_format = input_format
        self.bytes_per_s = input_format.rate_hz * input_format.sample_bytes
        self._start_sample = start_sample
        self._cutter = SampleCutter()
        self._resampler = Resampler(input_format.rate_hz, INPUT_RATE_HZ)
        self._waiting: list[Int16Array] = []  # at the input's rate
        self._waiting_count = 0

    @property
    def position_samples(self) -> int:
        """The position after everything decoded so far, samples that are still held included."""
        return self._start_sample + self._resampler.due_after(self._waiting_count)

    def decode(self, audio: bytes, wanted_sample: int = 0) -> Int16Array | None:
        """The 16 kHz samples that are ready after `audio`, shape (n,), n may be 0; None when `audio` completes no sample.

        Nothing is given out before all up to `wanted_sample` is ready.
        """
        samples = self._samples(audio)
        if not len(samples):
            return None
        self._waiting.append(samples)
        self._waiting_count += len(samples)
        if self._start_sample + self._resampler.final_after(self._waiting_count) < wanted_sample:
            return NOTHING
        return self.release()

    def release(self) -> Int16Array:
        """All samples that are ready, shape (n,)."""
        if not self._waiting:
            return NOTHING
        samples = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._waiting, self._waiting_count = [], 0
        return self._resampler.feed(samples)

    def flush(self) -> Int16Array:
        """What is held back (the resampler holds at most 3 ms), shape (n,)."""
        return np.concatenate((self.release(), self._resampler.flush()))

    def _samples(self, audio: bytes) -> Int16Array:
        match self.input_format.type:
            case "audio/pcm":
                return self._cutter.feed(audio)
            case "audio/pcmu":
                return decode_ulaw(audio)
            case "audio/pcma":
                return decode_alaw(audio)
