"""Speech engines, as workers see them. Blocking engines run in the worker's own threads, never on its loop.

All raise ProviderUnavailable (not installed or not reachable; the message says what to type), ProviderTimeout or
BadProviderAnswer, and nothing else.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from agentvoicebox.ports.voice import Voice

Int16Array = npt.NDArray[np.int16]


class Transcript(msgspec.Struct, frozen=True):
    """A recogniser's answer.

    Attributes:
        text: stripped; empty when it heard no speech (hallucination guards applied).
    """

    text: str


class Stt(Protocol):
    """Speech to text. One instance may be called from several threads."""

    def transcribe(self, pcm: Int16Array, *, language: str | None = None, prompt: str | None = None) -> Transcript:
        """Text of int16 mono 16 kHz audio, shape (n,), 0 to 30 s. Blocks."""


class Tts(Protocol):
    """Text to speech. One instance may be called from several threads."""

    def voices(self) -> list[Voice]:
        """The voices it has."""

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> Iterator[Int16Array]:
        """int16 mono 24 kHz chunks, in order, each at least 1 sample; the first as early as the engine can. Blocks in `next`.

        Args:
            text: one segment, plain words.
            voice: a name of `voices()`; any other name means the engine's default voice.
            speed: 0.25 to 2.0; outside it is clamped.
        """


class Vad(Protocol):
    """Voice activity for many sessions at once."""

    def new_state(self) -> npt.NDArray[np.float32]:
        """The state of a session that has no audio yet."""

    def probabilities(
        self, windows: npt.NDArray[np.float32], states: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """How likely each window holds speech.

        Args:
            windows: shape (n, 512), 16 kHz, -1 to 1; row i belongs to session i.
            states: the sessions' states stacked on axis 0.

        Returns:
            (probabilities of shape (n,), 0 to 1; new states).
        """


class EndOfTurn(Protocol):
    """A model of whether a speaker has finished."""

    def completeness(self, pcm: Int16Array) -> float:
        """0 (will continue) to 1 (finished), from up to the last 8 s of int16 mono 16 kHz audio. Blocks (about 30 ms)."""
