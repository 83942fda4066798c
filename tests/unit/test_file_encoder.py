"""Audio files are made as their samples come, hold all of them, and what was given out is never changed."""

import numpy as np
import pytest
from tests.kit.sound_files import samples_in

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.gateway.audio.file_encoder import CONTENT_TYPES, new_encoder
from agentvoicebox.wire.speech_request import FORMATS, SpeechFormat

RATE_HZ = 24_000
LOSSLESS: tuple[SpeechFormat, ...] = ("wav", "pcm", "flac")


def tone(seconds: float, hz: float = 440.0) -> Int16Array:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (np.sin(2 * np.pi * hz * times) * 8_000).astype(np.int16)


def encoded(samples: Int16Array, format: SpeechFormat, chunk: int = 2_400) -> list[bytes]:
    encoder = new_encoder(format)
    return [*(encoder.feed(samples[at : at + chunk]) for at in range(0, samples.size, chunk)), encoder.close()]


@pytest.mark.parametrize("format", LOSSLESS)
@pytest.mark.parametrize("chunk", [1, 479, 24_000])
def test_lossless_formats_hold_the_samples_themselves(format: SpeechFormat, chunk: int) -> None:
    samples = tone(0.5)
    assert np.array_equal(samples_in(b"".join(encoded(samples, format, chunk)), format), samples)


@pytest.mark.parametrize("format", ["mp3", "opus"])
def test_lossy_formats_sound_alike(format: SpeechFormat) -> None:
    samples = tone(3.0)
    got = samples_in(b"".join(encoded(samples, format)), format)
    assert 0 <= got.size - samples.size < RATE_HZ // 5
    middle = got[RATE_HZ : 2 * RATE_HZ].astype(float)
    assert np.argmax(np.abs(np.fft.rfft(middle))) == pytest.approx(440, abs=2)  # 1 Hz a bin
    assert np.abs(middle).max() == pytest.approx(8_000, rel=0.15)


@pytest.mark.parametrize("format", ["wav", "pcm", "mp3", "opus"])
def test_bytes_come_long_before_the_end(format: SpeechFormat) -> None:
    parts = encoded(tone(10.0), format)
    assert sum(map(len, parts[:50])) > sum(map(len, parts)) / 4


def test_flac_states_its_length() -> None:
    data = b"".join(encoded(tone(1.0), "flac"))
    assert int.from_bytes(data[21:26], "big") & 0xFFFFFFFFF == RATE_HZ


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_has_a_content_type_and_ends_without_samples(format: SpeechFormat) -> None:
    assert CONTENT_TYPES[format].startswith("audio/")
    assert isinstance(b"".join(encoded(tone(0.0), format)), bytes)
