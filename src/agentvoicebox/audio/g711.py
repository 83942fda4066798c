"""G.711, 8-bit telephone audio: µ-law (audio/pcmu) and A-law (audio/pcma), both ways, by table.

The tables are computed once from the definition in ITU-T G.711: a sign, a 3-bit segment whose width doubles each time,
and a 4-bit step inside it. Samples are int16 at any rate; a telephone's is 8 kHz.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from agentvoicebox.audio.pcm import Int16Array

UInt8Array = npt.NDArray[np.uint8]

ULAW_BIAS = 33  # added to the 14-bit magnitude so that every segment starts at a power of two
ULAW_CLIP = 8158  # largest 14-bit magnitude that has a code (with the bias, 13 bits)
ULAW_FLIP = 0xFF  # codes travel inverted
ALAW_FLIP = 0x55  # every other bit travels inverted
SIGN = 0x80


def decode_ulaw(data: bytes) -> Int16Array:
    """µ-law bytes → int16 samples, one a byte."""
    return _ulaw_levels()[np.frombuffer(data, dtype=np.uint8)]


def encode_ulaw(samples: Int16Array) -> bytes:
    """int16 samples → µ-law bytes, one a sample."""
    return _ulaw_codes()[samples.view(np.uint16)].tobytes()


def decode_alaw(data: bytes) -> Int16Array:
    """A-law bytes → int16 samples, one a byte."""
    return _alaw_levels()[np.frombuffer(data, dtype=np.uint8)]


def encode_alaw(samples: Int16Array) -> bytes:
    """int16 samples → A-law bytes, one a sample."""
    return _alaw_codes()[samples.view(np.uint16)].tobytes()


def _every_sample() -> npt.NDArray[np.int32]:
    """All int16 values, in the order of their unsigned bit patterns: what the encoding tables are indexed by."""
    return np.asarray(np.arange(65_536, dtype=np.uint16).view(np.int16), dtype=np.int32)


def _segment(magnitude: npt.NDArray[np.int32], lowest_bits: int) -> npt.NDArray[np.int32]:
    """How often a magnitude must be halved to fit into `lowest_bits` bits."""
    return np.asarray(np.maximum(0, np.frexp(magnitude.astype(np.float64))[1] - lowest_bits), dtype=np.int32)


@cache
def _ulaw_levels() -> Int16Array:
    code = np.arange(256) ^ ULAW_FLIP
    segment, step = (code >> 4) & 7, code & 15
    magnitude = (((step << 1) + ULAW_BIAS) << segment) - ULAW_BIAS  # the middle of the step, in 14 bits
    return np.asarray(np.where(code & SIGN, -4 * magnitude, 4 * magnitude), dtype=np.int16)


@cache
def _ulaw_codes() -> UInt8Array:
    value = _every_sample() >> 2  # 14 bits
    magnitude = np.minimum(np.abs(value), ULAW_CLIP) + ULAW_BIAS
    segment = _segment(magnitude, 6)
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 15) | np.where(value < 0, SIGN, 0)
    return np.asarray(code ^ ULAW_FLIP, dtype=np.uint8)


@cache
def _alaw_levels() -> Int16Array:
    code = np.arange(256) ^ ALAW_FLIP
    segment, step = (code >> 4) & 7, code & 15
    # Segments 0 and 1 have the same step width; from 1 on there is an implied leading bit.
    magnitude = np.where(segment == 0, (step << 4) + 8, ((step << 4) + 0x108) << np.maximum(segment - 1, 0))
    return np.asarray(np.where(code & SIGN, magnitude, -magnitude), dtype=np.int16)


@cache
def _alaw_codes() -> UInt8Array:
    value = _every_sample() >> 3  # 13 bits
    magnitude = np.where(value < 0, -value - 1, value)
    segment = _segment(magnitude, 5)
    step = (magnitude >> np.maximum(segment, 1)) & 15
    code = (segment << 4) | step | np.where(value < 0, 0, SIGN)
    return np.asarray(code ^ ALAW_FLIP, dtype=np.uint8)
