"""The WAV format with 16-bit PCM, mono or stereo: parsing, formatting, and a clear reason when a file is refused.

Reads plain and "extensible" headers, skips unknown chunks, and accepts files that a recorder
left unfinished (size 0 or 0xFFFFFFFF, or truncated). Other encodings are refused, not guessed.
"""

import struct

import numpy as np

from agentvoicebox.audio.pcm import Int16Array

PCM_TAG = 1
EXTENSIBLE_TAG = 0xFFFE  # the real tag stands in the first two bytes of the sub-format
UNFINISHED_SIZES = (0, 0xFFFFFFFF)


class BadWav(ValueError):
    """The file is no WAV of 16-bit PCM with one or two channels. The message says why."""


def parse_wav(data: bytes) -> tuple[Int16Array, int]:
    """The samples of a WAV file's bytes and its rate.

    Returns:
        (int16 samples of shape (n,) for mono or (n, 2) for stereo; samples a second, per channel).

    Raises:
        BadWav: it is no WAV of 16-bit PCM with one or two channels.
    """
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise BadWav("not a WAV file (no RIFF/WAVE header)")
    channels, rate_hz, position = 0, 0, 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        body = position + 8
        if name == b"fmt ":
            channels, rate_hz = _parse_format(data[body : body + size])
        elif name == b"data":
            if not channels:
                raise BadWav("the samples come before their format")
            end = len(data) if size in UNFINISHED_SIZES else min(len(data), body + size)
            whole = (end - body) // (2 * channels) * 2 * channels
            samples = np.frombuffer(data, dtype="<i2", count=whole // 2, offset=body).astype(np.int16)
            return (samples if channels == 1 else samples.reshape(-1, 2)), rate_hz
        position = body + size + size % 2  # chunks are padded to an even length
    raise BadWav("no samples in it (no data chunk)")


def _parse_format(chunk: bytes) -> tuple[int, int]:
    if len(chunk) < 16:
        raise BadWav("its format chunk is cut short")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENSIBLE_TAG and len(chunk) >= 26:
        tag = struct.unpack_from("<H", chunk, 24)[0]
    if tag != PCM_TAG or bits != 16:
        raise BadWav(f"only 16-bit PCM is understood, this is {bits}-bit with format tag {tag}")
    if channels not in (1, 2):
        raise BadWav(f"only mono and stereo are understood, this has {channels} channels")
    if rate_hz == 0:
        raise BadWav("its sample rate is 0")
    return channels, rate_hz


def format_wav(samples: Int16Array, rate_hz: int) -> bytes:
    """The bytes of a WAV file.

    Args:
        samples: int16, shape (n,) for mono or (n, 2) for stereo.
        rate_hz: samples a second, per channel.

    Raises:
        ValueError: another shape, or more than 4 GiB.
    """
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] != 2):
        raise ValueError(f"samples have shape (n,) or (n, 2), not {samples.shape}")
    body = np.ascontiguousarray(samples, dtype="<i2").tobytes()
    if len(body) > 0xFFFFFFFF - 36:
        raise ValueError("a WAV file holds at most 4 GiB")
    return _header(samples.ndim, rate_hz, 36 + len(body), len(body)) + body


def open_wav(rate_hz: int) -> bytes:
    """The header of a mono WAV file whose length is not known yet; samples follow. Readers take all that come."""
    return _header(1, rate_hz, 0xFFFFFFFF, 0xFFFFFFFF)


def _header(channels: int, rate_hz: int, file_bytes: int, data_bytes: int) -> bytes:
    header = struct.pack("<4sI4s", b"RIFF", file_bytes, b"WAVE")
    header += struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, PCM_TAG, channels, rate_hz, rate_hz * 2 * channels, 2 * channels, 16
    )
    return header + struct.pack("<4sI", b"data", data_bytes)
