"""Detection models with known results, for tests and benchmarks: same ports, no weights."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agentvoicebox.audio.pcm import Int16Array

Float32Array = npt.NDArray[np.float32]

LOUD_RMS = 0.01  # -40 dBFS: far above a quiet line, far below a voice


class ScriptedVad:
    """A Vad that gives each session the same probabilities in order, and 0 after the last. The state is the next index."""

    def __init__(self, script: Sequence[float]) -> None:
        self._script = np.asarray([*script, 0.0], dtype=np.float32)

    def new_state(self) -> Float32Array:
        """See ports.providers.Vad."""
        return np.zeros(1, dtype=np.float32)

    def probabilities(self, windows: Float32Array, states: Float32Array) -> tuple[Float32Array, Float32Array]:
        """See ports.providers.Vad."""
        index = np.minimum(states[:, 0].astype(np.int64), len(self._script) - 1)
        return self._script[index], states + np.float32(1)


class EnergyVad:
    """A Vad that takes everything loud for speech (1), and everything else for silence (0)."""

    def new_state(self) -> Float32Array:
        """See ports.providers.Vad."""
        return np.zeros(1, dtype=np.float32)

    def probabilities(self, windows: Float32Array, states: Float32Array) -> tuple[Float32Array, Float32Array]:
        """See ports.providers.Vad."""
        return (np.sqrt(np.mean(windows * windows, axis=1)) > LOUD_RMS).astype(np.float32), states


class ScriptedEndOfTurn:
    """An EndOfTurn with a constant result. `received` holds its inputs."""

    def __init__(self, completeness: float) -> None:
        self._completeness = completeness
        self.received: list[Int16Array] = []

    def completeness(self, pcm: Int16Array) -> float:
        """See ports.providers.EndOfTurn."""
        self.received.append(pcm)
        return self._completeness
