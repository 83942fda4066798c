"""Audio files for tests of `/v1/audio`: written with libsndfile, and read back whatever length they state."""

import io

import numpy as np
from soundfile import SoundFile

from agentvoicebox.audio.pcm import Int16Array, samples_of
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ

FILES = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "opus": ("OGG", "OPUS"),
    "ogg": ("OGG", "VORBIS"),
}


class _Sequential(SoundFile):  # type: ignore[misc]  # the library has no types
    def seekable(self) -> bool:
        return False


def file_of(samples: Int16Array, kind: str = "wav", rate_hz: int = OUTPUT_RATE_HZ) -> bytes:
    """An audio file of int16 samples, shape (n,) or (n, channels)."""
    made = io.BytesIO()
    container, coding = FILES[kind]
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with SoundFile(made, "w", rate_hz, channels, format=container, subtype=coding) as file:
        file.write(samples)
    return made.getvalue()


def samples_in(data: bytes, kind: str = "wav") -> Int16Array:
    """The 24 kHz samples of a file of ours; `pcm` has no header."""
    if kind == "pcm":
        return samples_of(data)
    blocks = [np.zeros(0, np.int16)]
    with _Sequential(io.BytesIO(data)) as file:
        assert (file.samplerate, file.channels) == (OUTPUT_RATE_HZ, 1)
        while (block := file.read(OUTPUT_RATE_HZ, dtype="int16")).size:
            blocks.append(block)
    return np.concatenate(blocks)
