"""Samples and their bytes: 16-bit little-endian mono, milliseconds, floats.

Independent of wire formats and of other sample rates.
"""

import numpy as np
import numpy.typing as npt

from agentvoicebox.audio.rates import INPUT_RATE_HZ

Int16Array = npt.NDArray[np.int16]
Float32Array = npt.NDArray[np.float32]

FULL_SCALE = 32_768.0  # an int16 of -32768 is -1.0


def samples_of(data: bytes) -> Int16Array:
    """The samples of 16-bit little-endian bytes, shape (len(data) // 2,). Raises ValueError for an odd length."""
    if len(data) % 2:
        raise ValueError(f"{len(data)} bytes are not a whole number of 16-bit samples")
    return np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)


def bytes_of(samples: Int16Array) -> bytes:
    """16-bit little-endian bytes of `samples`, shape (n,)."""
    return samples.astype("<i2", copy=False).tobytes()


def to_float(samples: Int16Array) -> Float32Array:
    """Samples from -1 to 1 (full scale excluded above), float32."""
    return samples.astype(np.float32) / np.float32(FULL_SCALE)


def from_float(samples: npt.NDArray[np.floating]) -> Int16Array:
    """The nearest int16 samples of floats from -1 to 1; louder ones are clipped."""
    return np.clip(np.rint(np.asarray(samples, dtype=np.float64) * FULL_SCALE), -32_768, 32_767).astype(np.int16)


def samples_of_ms(ms: float, rate_hz: int = INPUT_RATE_HZ) -> int:
    """How many samples `ms` milliseconds are, rounded to the nearest."""
    return round(ms * rate_hz / 1000)


def ms_of_samples(count: int, rate_hz: int = INPUT_RATE_HZ) -> float:
    """How many milliseconds `count` samples last."""
    return count * 1000 / rate_hz


class SampleCutter:
    """Bytes in chunks of any length → whole samples. The odd byte of a chunk waits for the next one."""

    def __init__(self) -> None:
        self._odd = b""

    def feed(self, data: bytes) -> Int16Array:
        """The samples that `data` completes, shape (n,)."""
        data = self._odd + data if self._odd else data
        whole = len(data) & ~1
        self._odd = data[whole:]
        return samples_of(data[:whole])
