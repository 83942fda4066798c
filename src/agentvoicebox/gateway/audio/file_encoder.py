"""Synthesised audio → the bytes of an audio file, as they grow.

Invariant: what was given out is never changed. MP3 has a constant bit rate, because one with a variable rate needs a table in
front that is written last. A FLAC file states its length in its first bytes, so all of it comes at the end.
"""

from typing import Protocol

from agentvoicebox.audio.pcm import Int16Array, bytes_of
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.audio.wav import open_wav
from agentvoicebox.wire.speech_request import SpeechFormat

CONTENT_TYPES: dict[SpeechFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_KINDS = {"mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS"), "flac": ("FLAC", "PCM_16")}  # of libsndfile
_MP3 = {"bitrate_mode": "CONSTANT", "compression_level": 0.6}  # 64 kbit/s


class FileEncoder(Protocol):
    """One file. Blocks for less than a hundredth of the audio's length."""

    def feed(self, samples: Int16Array) -> bytes:
        """Add samples of shape (n,), or (n, 2) of a stereo file; returns the bytes that are final now, possibly none."""

    def close(self) -> bytes:
        """End the file; returns its last bytes."""


def new_encoder(format: SpeechFormat) -> FileEncoder:
    """An encoder of a format, for 24 kHz mono."""
    return _Plain(b"" if format == "pcm" else open_wav(OUTPUT_RATE_HZ)) if format in ("pcm", "wav") else _Coded(format)


def new_call_encoder(rate_hz: int) -> FileEncoder:
    """An encoder of Ogg Opus, stereo."""
    return _Coded("opus", rate_hz, channels=2)


class _Plain:
    """Samples as they are, behind a header."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def feed(self, samples: Int16Array) -> bytes:
        header, self._header = self._header, b""
        return header + bytes_of(samples)

    def close(self) -> bytes:
        return self._header


class _Coded:
    """A format of libsndfile."""

    def __init__(self, format: SpeechFormat, rate_hz: int = OUTPUT_RATE_HZ, *, channels: int = 1) -> None:
        from soundfile import SoundFile  # loads a library that only these formats need

        kind, subtype = _KINDS[format]
        self._is_held = format == "flac"
        self._sink = _Sink()
        options = _MP3 if format == "mp3" else {}
        self._file = SoundFile(self._sink, "w", rate_hz, channels, format=kind, subtype=subtype, **options)

    def feed(self, samples: Int16Array) -> bytes:
        self._file.write(samples)
        return b"" if self._is_held else self._sink.take()

    def close(self) -> bytes:
        self._file.close()
        return self._sink.take()


class _Sink:
    """A file for libsndfile that forgets what was taken from it. Changes of what was taken are dropped."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._taken = 0  # bytes
        self._place = 0

    def write(self, data: bytes) -> int:
        """See io.RawIOBase."""
        place = self._place - self._taken
        self._place += len(data)
        if place >= 0:
            self._kept[place : place + len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """See io.RawIOBase."""
        self._place = offset + (0, self._place, self._taken + len(self._kept))[whence]
        return self._place

    def tell(self) -> int:
        """See io.RawIOBase."""
        return self._place

    def read(self, size: int = -1) -> bytes:
        """Nothing: the file is only written."""
        return b""

    def take(self) -> bytes:
        """The bytes since the last call."""
        data = bytes(self._kept)
        self._taken += len(data)
        self._kept.clear()
        return data
