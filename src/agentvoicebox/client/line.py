"""One spoken line of a caller, with the positions that measurements need.

Finds the end of speech inside a recording (the last voiced sample: latency is measured from there). Sending
it is in `caller`, making it from text in `caller_voice`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.audio.resample import resample
from agentvoicebox.audio.wav import BadWav
from agentvoicebox.client.wav_files import read_wav
from agentvoicebox.errors import ClientError

FRAME_SAMPLES = OUTPUT_RATE_HZ // 100  # 10 ms: short against a syllable, long against a pitch period
SILENCE_RMS = 100.0  # about -50 dBFS: below it nothing is audible on a telephone line
BELOW_PEAK_DB = 35.0  # a tail this far below the loudest frame is breath and reverberation, not speech


@dataclass(frozen=True)
class SpokenLine:
    """One line of speech.

    Attributes:
        text: the words, or the file's name when only the audio is known.
        pcm: shape (n,), int16, mono, 24 kHz.
    """

    text: str
    pcm: Int16Array

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return len(self.pcm) / OUTPUT_RATE_HZ


def voiced_range(pcm: Int16Array) -> tuple[int, int]:
    """First voiced sample and the one after the last, exact to 10 ms; (0, 0) when nothing is voiced.

    Args:
        pcm: shape (n,), int16, mono, 24 kHz.
    """
    count = len(pcm) // FRAME_SAMPLES
    if count == 0:
        return (0, 0)
    frames = pcm[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES).astype(np.float64)
    rms = np.sqrt(np.mean(frames * frames, axis=1))
    floor = max(SILENCE_RMS, float(rms.max()) * 10 ** (-BELOW_PEAK_DB / 20))
    voiced = np.flatnonzero(rms > floor)
    if voiced.size == 0:
        return (0, 0)
    return (int(voiced[0]) * FRAME_SAMPLES, (int(voiced[-1]) + 1) * FRAME_SAMPLES)


def line_from_wav(path: Path, text: str = "") -> SpokenLine:
    """A line from a 16-bit PCM WAV file of any rate; of two channels their mean.

    Raises:
        ClientError: the file is missing or is no such WAV; the message says which.
    """
    try:
        samples, rate_hz = read_wav(path)
    except (BadWav, OSError) as error:
        raise ClientError(f"this recording can't be spoken: {error}") from error
    if samples.ndim == 2:
        samples = samples.mean(axis=1).astype(np.int16)
    return SpokenLine(text or path.stem, resample(samples, rate_hz, OUTPUT_RATE_HZ))
