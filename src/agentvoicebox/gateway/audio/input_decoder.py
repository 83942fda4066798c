"""The caller's bytes → 16 kHz samples, in the input format that the session has now."""

from agentvoicebox.audio.g711 import decode_alaw, decode_ulaw
from agentvoicebox.audio.pcm import Int16Array, SampleCutter
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.audio.resample import Resampler
from agentvoicebox.wire.audio_config import AudioFormat


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

    @property
    def position_samples(self) -> int:
        """The position after everything decoded so far, samples that the resampler still holds included."""
        return self._start_sample + self._resampler.due_count

    def decode(self, audio: bytes) -> Int16Array | None:
        """The 16 kHz samples that are ready after `audio`, shape (n,), n may be 0; None when `audio` completes no sample."""
        samples = self._samples(audio)
        return self._resampler.feed(samples) if len(samples) else None

    def flush(self) -> Int16Array:
        """What the resampler holds back (at most 3 ms), shape (n,)."""
        return self._resampler.flush()

    def _samples(self, audio: bytes) -> Int16Array:
        match self.input_format.type:
            case "audio/pcm":
                return self._cutter.feed(audio)
            case "audio/pcmu":
                return decode_ulaw(audio)
            case "audio/pcma":
                return decode_alaw(audio)
