"""Changes the sample rate of a stream: a polyphase low-pass filter, indifferent to how its input is cut.

Output sample k stands for the time of input sample k * from_hz / to_hz: the filter's delay is taken out, so positions
before and after compare directly and never drift. The price is holding back `LOOK_AHEAD_MS` of input.

Law: chunked output equals one-shot output, bit for bit. Coefficients are integers, so every sum is exact in float64,
in whatever order it is made.
"""

from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

from agentvoicebox.audio.pcm import Int16Array

Float64Array = npt.NDArray[np.float64]

LOOK_AHEAD_MS = 2.9  # half the filter; below 3 ms nobody hears it, and it still makes the edge below
# Of the lower Nyquist frequency. With a 6 ms filter the edge is 0.85 kHz wide: at 8 kHz the telephone's band (up to
# 3.4 kHz) stays whole, and what folds lands above it.
CUTOFF = 0.96
KAISER_BETA = 7.86  # 80 dB down outside the band, well below G.711's own noise
COEFFICIENT_BITS = 22  # 15 bits of sample + 22 of coefficient + a few of sum stay far below float64's 53
MOST_PHASES = 1_000  # any two rates that are multiples of 50 Hz up to 48 kHz; more would only cost memory
FEW_PHASES = 8
BATCH_PER_PHASE = 8  # from so many outputs a phase, one product per phase is faster than one per output


@lru_cache(maxsize=32)
def _filter(from_hz: int, to_hz: int) -> tuple[int, int, int, Float64Array]:
    """(up, down, half, coefficients): output k needs inputs k * down // up + (-half + 1 … half); one row per phase."""
    divisor = gcd(from_hz, to_hz)
    up, down = to_hz // divisor, from_hz // divisor
    if up > MOST_PHASES:
        raise ValueError(
            f"{from_hz} Hz to {to_hz} Hz needs {up} filter phases, more than {MOST_PHASES}: use a round rate"
        )
    half = max(1, int(LOOK_AHEAD_MS * from_hz / 1000))
    offset = np.arange(-half + 1, half + 1)[None, :] - (np.arange(up) / up)[:, None]  # in input samples, per phase
    cutoff = CUTOFF * min(1.0, to_hz / from_hz)
    inside = np.clip(1.0 - (offset / half) ** 2, 0.0, None)
    shape = np.sinc(cutoff * offset) * np.i0(KAISER_BETA * np.sqrt(inside)) * (inside > 0)
    scale = float(1 << COEFFICIENT_BITS)
    rows = np.rint(shape / shape.sum(axis=1, keepdims=True) * scale)
    peak = np.argmax(np.abs(offset) < 1, axis=1)  # the sample just before (or at) the output's time
    rows[np.arange(up), peak] += scale - rows.sum(axis=1)  # each phase passes a constant unchanged
    rows.setflags(write=False)
    return up, down, half, rows


class Resampler:
    """One stream of int16 samples from one rate to another. Equal rates pass through."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """A stream that has heard nothing: silence lies before it.

        Raises:
            ValueError: a rate is not positive, or the ratio has no small terms.
        """
        if from_hz <= 0 or to_hz <= 0:
            raise ValueError(f"sample rates are positive, not {from_hz} and {to_hz}")
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._up, self._down, self._half, self._rows = _filter(from_hz, to_hz)
        self._held: Float64Array = np.zeros(self._half - 1)
        self._held_start = 1 - self._half  # input position of _held[0]
        self._in_count = 0
        self._out_count = 0

    @property
    def out_count(self) -> int:
        """Samples given out so far."""
        return self._out_count

    @property
    def due_count(self) -> int:
        """Samples that all input so far stands for, given out or still held back."""
        return -(-self._in_count * self._up // self._down)

    def feed(self, samples: Int16Array) -> Int16Array:
        """Take samples of shape (n,); give those that are now certain."""
        if self._up == self._down:
            self._in_count += len(samples)
            self._out_count = self._in_count
            return samples
        self._in_count += len(samples)
        self._held = np.concatenate((self._held, samples))
        # Output k looks ahead to input k * down // up + half: certain while k * down // up < in_count - half.
        certain = -(-max(0, self._in_count - self._half) * self._up // self._down)
        return self._give(max(certain, self._out_count), self._held)

    def flush(self) -> Int16Array:
        """What is held back, as if silence followed. The stream may go on afterwards, at the right positions."""
        if self._up == self._down:
            return np.empty(0, dtype=np.int16)
        return self._give(self.due_count, np.concatenate((self._held, np.zeros(self._half))))

    def _give(self, until: int, inputs: Float64Array) -> Int16Array:
        """Outputs from out_count to `until`; forgets inputs that no later output needs."""
        count = until - self._out_count
        if count <= 0:
            return np.empty(0, dtype=np.int16)
        ticks = np.arange(self._out_count, until) * self._down
        first = ticks // self._up - self._half + 1 - self._held_start
        phase = ticks % self._up
        windows = np.lib.stride_tricks.sliding_window_view(inputs, 2 * self._half)
        if self._up <= FEW_PHASES or count >= BATCH_PER_PHASE * self._up:
            sums = np.empty(count)
            for k in range(min(self._up, count)):
                here = sums[k :: self._up]
                here[:] = np.ascontiguousarray(windows[first[k] :: self._down][: len(here)]) @ self._rows[phase[k]]
        else:
            sums = np.einsum("ij,ij->i", windows[first], self._rows[phase])
        self._out_count = until
        keep = min(until * self._down // self._up - self._half + 1, self._in_count)
        self._held = self._held[max(0, keep - self._held_start) :].copy()
        self._held_start = max(self._held_start, keep)
        half_step = 1 << (COEFFICIENT_BITS - 1)
        rounded = np.floor((sums + half_step) / (1 << COEFFICIENT_BITS))
        return np.clip(rounded, -32_768, 32_767).astype(np.int16)


def resample(samples: Int16Array, from_hz: int, to_hz: int) -> Int16Array:
    """A whole recording of shape (n,) at another rate: ceil(n * to_hz / from_hz) samples."""
    stream = Resampler(from_hz, to_hz)
    return np.concatenate((stream.feed(samples), stream.flush()))
