"""A recording → pieces with speech, each short enough for a recogniser, cut at pauses.

The longer a piece is, the shorter a pause ends it; speech without any is cut in its quietest place. What lies between pieces
holds no speech and is dropped, as recognisers hear words in noise.
"""

from collections.abc import Iterator

import numpy as np

from agentvoicebox.audio.pcm import Int16Array, bytes_of
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.gateway.audio.recording_messages import SpeechPiece
from agentvoicebox.providers.stt.cutting import LONGEST_PIECE_S, quietest_cut
from agentvoicebox.turns.vad import GateChange, SpeechGate

THRESHOLD = 0.4  # below the detector's 0.5: a word that is lost is worse than noise that is judged twice
LEAST_VOICED_MS = 64.0  # two windows: a click is no speech
LEAD_S = 0.3  # of audio before the first voiced window: soft consonants
TAIL_S = 0.2
# (from a length on, a pause of this many ms ends the piece)
PAUSES_MS = ((15.0, 250.0), (8.0, 400.0), (0.0, 800.0))


class PieceCutter:
    """Cuts one recording. Windows of audio and their speech probabilities come in order."""

    def __init__(self) -> None:
        self._gate = SpeechGate(THRESHOLD, PAUSES_MS[-1][1])
        self._held: Int16Array = np.zeros(0, np.int16)  # from `_held_from` on
        self._held_from = 0
        self._speech_from: int | None = None  # of the piece that has begun

    def feed(self, window: Int16Array, probability: float) -> Iterator[SpeechPiece]:
        """Add 512 samples and how likely they hold speech (0 to 1); yields the pieces that are complete now."""
        self._held = np.concatenate((self._held, window))
        end = self._held_from + self._held.size
        self._gate.configure(THRESHOLD, self._pause_ms())
        change = self._gate.feed(probability, end, LEAST_VOICED_MS)
        if change is GateChange.OPENED:
            self._speech_from = self._gate.onset_sample
        if self._speech_from is None:
            if not self._gate.may_open:
                self._drop_until(end - round(LEAD_S * INPUT_RATE_HZ))
            return
        if change is GateChange.CLOSED:
            yield from self.flush()
            self._speech_from = None
            self._drop_until(end - round(LEAD_S * INPUT_RATE_HZ))
        elif self._held.size >= LONGEST_PIECE_S * INPUT_RATE_HZ:
            cut = self._held_from + quietest_cut(self._held)
            yield self._piece(self._speech_from, cut, 0)
            self._speech_from = cut
            self._drop_until(cut)

    def flush(self) -> Iterator[SpeechPiece]:
        """The speech has ended, or the recording: its last piece. None when all of it was cut off before."""
        if self._speech_from is not None and self._gate.voiced_end_sample > self._speech_from:
            yield self._piece(self._speech_from, self._gate.voiced_end_sample, round(TAIL_S * INPUT_RATE_HZ))

    def _pause_ms(self) -> float:
        length_s = self._held.size / INPUT_RATE_HZ
        return next(pause_ms for from_s, pause_ms in PAUSES_MS if length_s >= from_s)

    def _piece(self, start_sample: int, end_sample: int, tail: int) -> SpeechPiece:
        samples = self._held[: end_sample + tail - self._held_from]
        return SpeechPiece(start_sample, end_sample, bytes_of(samples))

    def _drop_until(self, sample: int) -> None:
        if sample > self._held_from:
            self._held = self._held[sample - self._held_from :].copy()
            self._held_from = sample
