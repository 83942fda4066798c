"""The most recent part of a caller's audio, addressed by absolute sample number.

Memory is allocated and freed in blocks, so an idle session holds next to nothing. Samples that fell out are counted.
"""

import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import INPUT_RATE_HZ

BLOCK_SAMPLES = INPUT_RATE_HZ // 2  # 16 kB: an idle session's cost, and the unit in which memory is freed


class AudioRing:
    """int16 samples from `start_sample` up to `end_sample`; positions count from the first sample ever appended.

    Invariant: end_sample - start_sample <= the bound; a sample that was dropped or lost never comes back.
    """

    def __init__(self, keep_s: float, rate_hz: int = INPUT_RATE_HZ, *, start_sample: int = 0) -> None:
        """An empty ring that holds at most `keep_s` seconds, whose first sample will be number `start_sample`."""
        self._most = max(1, round(keep_s * rate_hz))
        self._blocks: list[Int16Array] = []
        self._first_block = 0  # number of _blocks[0]; block b holds samples from b * BLOCK_SAMPLES
        self._start = self._end = start_sample
        self._lost = 0

    @property
    def start_sample(self) -> int:
        """The oldest sample it holds (equals end_sample when it is empty)."""
        return self._start

    @property
    def end_sample(self) -> int:
        """One past the newest sample: how many were ever appended."""
        return self._end

    @property
    def lost_count(self) -> int:
        """How many samples fell out because the ring was full (not counting those dropped on purpose)."""
        return self._lost

    @property
    def memory_bytes(self) -> int:
        """Bytes of audio blocks held now."""
        return sum(block.nbytes for block in self._blocks)

    def append(self, samples: Int16Array) -> None:
        """Add samples of shape (n,) at the end; the oldest ones fall out beyond the bound."""
        taken = 0
        while taken < len(samples):
            number, offset = divmod(self._end, BLOCK_SAMPLES)
            if not self._blocks:
                self._first_block = number
            if number == self._first_block + len(self._blocks):
                self._blocks.append(np.empty(BLOCK_SAMPLES, dtype=np.int16))
            step = min(len(samples) - taken, BLOCK_SAMPLES - offset)
            self._blocks[-1][offset : offset + step] = samples[taken : taken + step]
            taken += step
            self._end += step
            over = self._end - self._start - self._most
            if over > 0:
                self._lost += over
                self._forget(self._start + over)

    def read(self, start_sample: int, end_sample: int) -> Int16Array:
        """A copy of the samples it holds in [start_sample, end_sample); it begins at max(start_sample, self.start_sample)."""
        start, end = max(start_sample, self._start), min(end_sample, self._end)
        out = np.empty(max(0, end - start), dtype=np.int16)
        filled = 0
        while filled < len(out):
            number, offset = divmod(start + filled, BLOCK_SAMPLES)
            step = min(len(out) - filled, BLOCK_SAMPLES - offset)
            out[filled : filled + step] = self._blocks[number - self._first_block][offset : offset + step]
            filled += step
        return out

    def drop_before(self, sample: int) -> None:
        """Drop samples before `sample` (at most everything)."""
        self._forget(min(sample, self._end))

    def _forget(self, sample: int) -> None:
        self._start = max(self._start, sample)
        while self._blocks and (self._first_block + 1) * BLOCK_SAMPLES <= self._start:
            self._blocks.pop(0)
            self._first_block += 1
