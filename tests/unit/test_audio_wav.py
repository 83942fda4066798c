"""WAV files: round trips, odd but legal ones, and clear words about the others."""

import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from agentvoicebox.audio.wav import BadWav, format_wav, parse_wav
from agentvoicebox.client.wav_files import read_wav, write_wav

MONO = np.array([0, 1, -1, 32_767, -32_768], dtype=np.int16)
STEREO = np.stack((MONO, MONO[::-1]), axis=1)


@pytest.mark.parametrize("samples", [MONO, STEREO])
def test_what_is_written_is_read(samples: np.ndarray, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", samples, 22_050)
    got, rate_hz = read_wav(tmp_path / "a.wav")
    assert np.array_equal(got, samples)
    assert rate_hz == 22_050


def test_the_standard_library_reads_what_is_written() -> None:
    with wave.open(io.BytesIO(format_wav(STEREO, 24_000))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 24_000, 2)
        assert file.readframes(99) == STEREO.tobytes()


def test_unknown_chunks_and_extensible_headers_are_fine() -> None:
    plain = format_wav(MONO, 16_000)
    extensible = struct.pack("<HHIIHHHHIH14s", 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 4, 1, b"\0" * 14)
    data = plain[:12] + b"LIST\x03\0\0\0abc\0" + b"fmt " + struct.pack("<I", 40) + extensible + plain[36:]
    assert np.array_equal(parse_wav(data)[0], MONO)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 1_000])
def test_an_unfinished_recording_gives_what_is_there(size: int) -> None:
    plain = format_wav(MONO, 16_000)
    data = plain[:40] + struct.pack("<I", size) + plain[44:] + b"\x07"  # and half a sample
    assert np.array_equal(parse_wav(data)[0], MONO)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no RIFF/WAVE header"),
        (b"ID3\x04 surely a song", "no RIFF/WAVE header"),
        (format_wav(MONO, 8_000)[:36], "no data chunk"),
        (format_wav(MONO, 8_000)[:12] + b"data\x02\0\0\0ab", "before their format"),
        (format_wav(MONO, 8_000)[:12] + b"fmt \x04\0\0\0abcd", "cut short"),
        (format_wav(MONO, 0), "rate is 0"),
        (format_wav(MONO, 8_000).replace(b"\x10\0data", b"\x18\0data"), "24-bit"),
        (format_wav(MONO, 8_000).replace(b"\x01\0\x01\0", b"\x03\0\x01\0", 1), "format tag 3"),
        (format_wav(MONO, 8_000).replace(b"\x01\0\x01\0", b"\x01\0\x06\0", 1), "6 channels"),
    ],
)
def test_what_it_does_not_understand_it_names(data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "odd.wav").write_bytes(data)
    with pytest.raises(BadWav, match=reason) as caught:
        read_wav(tmp_path / "odd.wav")
    assert "odd.wav" in str(caught.value)


def test_only_mono_and_stereo_are_written() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        format_wav(np.zeros((2, 3), dtype=np.int16), 8_000)
