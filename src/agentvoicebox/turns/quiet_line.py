"""Whether a window of a caller's audio can only be what the line sounded like before: then no model needs to judge it.

A window is skipped when the model has found no voice in the last half second and the energy of each 8 ms of it is what
the line's noise has been, no louder and no softer. Any change is the model's to judge, so a voice is not missed in its first
soft moment. The level adapts while the model finds no voice.

The model is recurrent. So before it judges again, it is shown the last windows that it missed, which brings its memory of the
line up to date (ADR 32 has the measurement).
"""

import numpy as np

from agentvoicebox.audio.pcm import Float32Array

BLOCKS = 4  # of a window; 8 ms each
QUIET_PROBABILITY = 0.1  # of speech, at most, in the windows before
QUIET_WINDOWS = 16  # in a row, 512 ms: no part of a voice that pauses
RATIO = 2.0  # of a block's energy to the line's: 3 dB; 128 samples of white noise vary by 0.5 dB
ADAPTATION = 0.1  # of the level to one window's
LEAST_ENERGY = (4 / 32_768) ** 2  # of a sample: -78 dBFS; softer noise is the rounding of samples
KEPT_WINDOWS = 12  # of those that were skipped: 384 ms


class QuietLine:
    """One caller's line. Windows have shape (512,), 16 kHz, -1 to 1.

    Attributes:
        probability: of speech in the window that was judged last; 0 to 1.
    """

    def __init__(self) -> None:
        """Nothing is known of the line: the first windows go to the model."""
        self.probability = 0.0
        self._level = 0.0  # energy of a sample in the line's noise
        self._quiet_windows = 0
        self._skipped: list[Float32Array] = []

    def skips(self, window: Float32Array) -> bool:
        """Whether the next window is nothing but the line's noise, and so isn't judged."""
        if self._quiet_windows < QUIET_WINDOWS:
            return False
        energies = _energies(window)
        level = max(self._level, LEAST_ENERGY)
        if max(energies) > RATIO * level or RATIO * max(min(energies), LEAST_ENERGY) < level:
            return False
        self._follow(energies)
        if len(self._skipped) == KEPT_WINDOWS:
            del self._skipped[0]
        self._skipped.append(window)
        return True

    def take_skipped(self) -> list[Float32Array]:
        """The last windows that were skipped, in order: for the model, before the next one that it judges."""
        skipped, self._skipped = self._skipped, []
        return skipped

    def judged(self, window: Float32Array, probability: float) -> None:
        """The model found speech in a window with this probability."""
        self.probability = probability
        if probability > QUIET_PROBABILITY:
            self._quiet_windows = 0
            return
        energies = _energies(window)
        if not self._quiet_windows:
            self._level = sum(energies) / BLOCKS
        self._quiet_windows += 1
        self._follow(energies)

    def reset(self) -> None:
        """The model begins anew: what comes next has nothing before it."""
        self._quiet_windows = 0
        self._skipped = []

    def _follow(self, energies: list[float]) -> None:
        self._level += ADAPTATION * (sum(energies) / BLOCKS - self._level)


def _energies(window: Float32Array) -> list[float]:
    """Of a sample in each block."""
    blocks = window.reshape(BLOCKS, -1)
    found: list[float] = (np.einsum("ij,ij->i", blocks, blocks) / blocks.shape[1]).tolist()
    return found
