"""Changes the sample rate of a stream: a polyphase low-pass filter, independent of how its input is chunked.

Output sample k corresponds to the time of input sample k * from_hz / to_hz: the filter's delay is removed, so positions
before and after compare directly and never drift. The price is holding back `LOOK_AHEAD_MS` of input.

Invariant: chunked output equals one-shot output, bit for bit. Coefficients are integers, so every sum is exact in float64,
in any order of summation.
"""

from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

from agentvoicebox.audio.pcm import Int16Array

Float64Array = npt.NDArray[np.float64]

LOOK_AHEAD_MS = 2.9  # half the filter; below 3 ms it is inaudible, and it still gives the edge below
# Of the lower Nyquist frequency. With a 6 ms filter the edge is 0.85 kHz wide: at 8 kHz the telephone's band (up to
# 3.4 kHz) stays whole, and what folds lands above it.
CUTOFF = 0.96
KAISER_BETA = 7.86  # 80 dB down outside the band, well below G.711's own noise
COEFFICIENT_BITS = 22  # 15 bits of sample + 22 of coefficient + a few of sum stay far below float64's 53
MOST_PHASES = 1_000  # any two rates that are multiples of 50 Hz up to 48 kHz; more would only cost memory
# Outputs a row of the product below: fewer cost calls, more cost multiplications by zero. Products of a live frame stay so
# small (about 60,000 multiplications) that the algebra library does not wake threads for them.
BLOCK = 32


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


@lru_cache(maxsize=32)
def _block(from_hz: int, to_hz: int) -> tuple[int, Float64Array]:
    """(periods, matrix): inputs of some periods (`up` outputs each) in, their outputs out; so a chunk is one product."""
    up, down, half, rows = _filter(from_hz, to_hz)
    periods = -(-BLOCK // up)
    firsts = np.arange(periods * up) * down // up
    matrix = np.zeros((firsts[-1] + 2 * half, periods * up))
    for output, first in enumerate(firsts):
        matrix[first : first + 2 * half, output] = rows[output * down % up]
    matrix.setflags(write=False)
    return periods, matrix


class Resampler:
    """One stream of int16 samples from one rate to another. Equal rates pass through."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """A stream without input so far: silence lies before it.

        Raises:
            ValueError: a rate is not positive, or the ratio has no small terms.
        """
        if from_hz <= 0 or to_hz <= 0:
            raise ValueError(f"sample rates are positive, not {from_hz} and {to_hz}")
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._up, self._down, self._half, _ = _filter(from_hz, to_hz)
        self._held: Int16Array = np.zeros(self._half - 1, dtype=np.int16)  # from what the next output's period needs
        self._in_count = 0
        self._out_count = 0

    @property
    def out_count(self) -> int:
        """Samples given out so far."""
        return self._out_count

    @property
    def due_count(self) -> int:
        """Output samples for all input so far, returned or still held back."""
        return self.due_after(0)

    def due_after(self, more: int) -> int:
        """`due_count` if `more` samples were fed."""
        return -(-(self._in_count + more) * self._up // self._down)

    def final_after(self, more: int) -> int:
        """How many output samples would be final if `more` samples were fed."""
        count = self._in_count + more
        if self._up == self._down:
            return count
        # Output k looks ahead to input k * down // up + half: certain while k * down // up < count - half.
        return -(-max(0, count - self._half) * self._up // self._down)

    def feed(self, samples: Int16Array) -> Int16Array:
        """Add samples of shape (n,); return those that are final now."""
        self._in_count += len(samples)
        final = max(self.final_after(0), self._out_count)
        if self._up == self._down:
            self._out_count = final
            return samples
        return self._emit(final, samples)

    def flush(self) -> Int16Array:
        """The output held back, as if silence followed. The stream may continue afterwards, at the right positions."""
        return self._emit(self.due_count, np.empty(0, dtype=np.int16))

    def _emit(self, until: int, fresh: Int16Array) -> Int16Array:
        """Outputs from out_count to `until`, with `fresh` input; forgets inputs that no later output needs."""
        count = until - self._out_count
        known = len(self._held) + len(fresh)
        if count <= 0:
            self._held = np.concatenate((self._held, fresh))
            return np.empty(0, dtype=np.int16)
        periods, matrix = _block(self.from_hz, self.to_hz)
        period, skipped = divmod(self._out_count, self._up)
        step, width = periods * self._down, len(matrix)
        blocks = -(-(skipped + count) // (periods * self._up))
        # As if silence followed: what is computed beyond `until` is not given out.
        inputs = np.zeros(max(known, (blocks - 1) * step + width))
        inputs[: len(self._held)] = self._held
        inputs[len(self._held) : known] = fresh
        rows = np.ndarray((blocks, width), np.float64, inputs, 0, (step * inputs.itemsize, inputs.itemsize))
        sums = (np.ascontiguousarray(rows) @ matrix).reshape(-1)[skipped : skipped + count]
        self._out_count = until
        kept = (until // self._up - period) * self._down
        self._held = inputs[kept:known].astype(np.int16)
        sums += 1 << (COEFFICIENT_BITS - 1)
        sums *= 1 / (1 << COEFFICIENT_BITS)
        np.floor(sums, out=sums)
        np.minimum(sums, 32_767, out=sums)
        np.maximum(sums, -32_768, out=sums)
        return sums.astype(np.int16)


def resample(samples: Int16Array, from_hz: int, to_hz: int) -> Int16Array:
    """A whole recording of shape (n,) at another rate: ceil(n * to_hz / from_hz) samples."""
    stream = Resampler(from_hz, to_hz)
    return np.concatenate((stream.feed(samples), stream.flush()))
