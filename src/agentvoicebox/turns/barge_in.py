"""A voice over the agent's: an interruption, or a listener's "mm-hmm" that changes nothing.

A suspicion begins with the first voiced windows, when the agent's audio is held back. It ends within about a second: by the
voice's length, by its sound (a closed mouth says no words), or by the recogniser's words for it so far, for which it asks while
the voice goes on. In doubt it is an interruption: an answer that stopped for nothing goes on after it, and a caller who says
"stop" is never talked over for long.

Pure: the owner feeds positions, words and samples. Positions are 16 kHz samples.
"""

from enum import Enum

import numpy as np

from agentvoicebox.audio.pcm import Int16Array, ms_of_samples, samples_of_ms
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.turns.vad import WINDOW_SAMPLES
from agentvoicebox.turns.vocal_sounds import is_backchannel, is_vocal_sound, may_become_backchannel

# How long speech must last to open a turn or a suspicion: longer where a false start would interrupt the agent.
ONSET_MS = 64  # two windows: Silero gives clicks and knocks none (measured), a breath at most one; "no" gives eleven
BARGE_IN_MS = 128  # four windows: a cough or the agent's own echo rarely lasts so long, any word does

# See docs/adr/0033; all measured by benchmarks/backchannels.py.
FIRST_PROBE_MS = 256  # of voice: from here on the recogniser tells "yeah" from "no"
NEXT_PROBE_MS = 256  # more voice since the last probe
UNHEARD_END_MS = 96  # of a voice that has ended may be missing from its words: the tail of "okay", but no second word
LONGEST_UNHEARD_MS = 640  # a voice that goes on so long beyond the words that are known: an interruption
LONGEST_MS = 1_408  # "yeah, okay" at ease
WORDLESS_MS = 448  # a voice without a word that is shorter is a cough; a longer one was not understood
WORDS_WITHIN_MS = 640  # after the voice has ended; a caller who said "stop" waits no longer

# A murmur: the share of a closed mouth's sound above its first formant is small. Vowels have -12 to +12 dB, hums -13 to -25.
MURMUR_DB = -13.0
MURMUR_LEAST_MS = 128
LOW_BAND_HZ = (200, 600)  # a telephone passes the upper half
HIGH_BAND_HZ = (700, 3_400)

_HERTZ = np.fft.rfftfreq(WINDOW_SAMPLES, 1 / INPUT_RATE_HZ)


def _bins(band_hz: tuple[int, int]) -> slice:
    """The bins of a window's spectrum in a band."""
    low, high = np.searchsorted(_HERTZ, band_hz)
    return slice(int(low), int(high))


_LOW, _HIGH = _bins(LOW_BAND_HZ), _bins(HIGH_BAND_HZ)
_TAPER = np.hanning(WINDOW_SAMPLES)


class BargeInVerdict(Enum):
    """What a suspected interruption was."""

    INTERRUPTION = "interruption"
    NOTHING = "nothing"


def least_voiced_ms(*, agent_is_speaking: bool, is_judged: bool = False) -> int:
    """How long a caller's voice must last before it opens a turn, or a suspicion where it is judged first."""
    return BARGE_IN_MS if agent_is_speaking and not is_judged else ONSET_MS


class Suspicion:
    """One voice over the agent's, until its verdict.

    Attributes:
        start_sample: of the turn, if it becomes one.
        text: the recogniser's words for it so far; None before the first.
        text_end_sample: how far they reach.
    """

    def __init__(self, start_sample: int, onset_sample: int) -> None:
        """A voice that began at `onset_sample`."""
        self.start_sample = start_sample
        self.text: str | None = None
        self.text_end_sample = onset_sample
        self.onset_sample = onset_sample
        self._judged_end = onset_sample  # of the windows in the energies below
        self._low = self._high = 0.0
        self._asked: int | None = None  # the probe that is not answered yet

    @property
    def unheard_sample(self) -> int:
        """The end of the last window whose sound was judged."""
        return self._judged_end

    def hear(self, samples: Int16Array, end_sample: int) -> None:
        """Judge the sound of the next windows of the voice, any number of whole ones, which end at `end_sample`."""
        frames = samples[: samples.size // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES) * _TAPER
        power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
        self._low += float(power[:, _LOW].sum())
        self._high += float(power[:, _HIGH].sum())
        self._judged_end = end_sample

    def probe(self, *, voiced_end: int, now_sample: int, is_open: bool) -> int | None:
        """The position up to which words are wanted now, or None. The owner asks the recogniser and says so by `asked`.

        A voice that goes on is asked about just before a window's end, so that no pause is ever at the same position.
        """
        if self._asked is not None:
            return None
        if not is_open:
            return None if self._covers(voiced_end) else voiced_end
        wait_ms = FIRST_PROBE_MS if self.text is None else NEXT_PROBE_MS
        return now_sample - 1 if ms_of_samples(voiced_end - self.text_end_sample) >= wait_ms else None

    def asked(self, sample: int) -> None:
        """The recogniser was asked for the words up to `sample`."""
        self._asked = sample

    def answered(self, text: str, sample: int) -> None:
        """Its answer; one to an earlier question is ignored."""
        if sample == self._asked:
            self._asked = None
            self.text, self.text_end_sample = text, sample

    def verdict(self, *, voiced_end: int, now_sample: int, is_open: bool) -> BargeInVerdict | None:
        """What it is, or None while that is open.

        Args:
            voiced_end: just after the last voiced window.
            now_sample: just after the last window.
            is_open: whether the voice goes on, or may be about to.
        """
        voice_ms = ms_of_samples(voiced_end - self.onset_sample)
        if voice_ms >= LONGEST_MS:
            return BargeInVerdict.INTERRUPTION
        if is_open:
            return self._of_a_voice(voiced_end)
        if voice_ms < BARGE_IN_MS:
            return BargeInVerdict.NOTHING
        if self.is_murmur:
            return BargeInVerdict.NOTHING
        if not self._covers(voiced_end):
            is_late = ms_of_samples(now_sample - voiced_end) >= WORDS_WITHIN_MS
            return BargeInVerdict.INTERRUPTION if is_late else None
        is_nothing = is_backchannel(self.text) if self.text else voice_ms <= WORDLESS_MS
        return BargeInVerdict.NOTHING if is_nothing else BargeInVerdict.INTERRUPTION

    @property
    def is_murmur(self) -> bool:
        """Whether the sound so far is one of a closed mouth."""
        if ms_of_samples(self._judged_end - self.onset_sample) < MURMUR_LEAST_MS:
            return False
        return self._high < self._low * 10 ** (MURMUR_DB / 10)

    def _of_a_voice(self, voiced_end: int) -> BargeInVerdict | None:
        if self.is_murmur:
            return None
        if self.text and not may_become_backchannel(self.text):
            return BargeInVerdict.INTERRUPTION
        return (
            BargeInVerdict.INTERRUPTION
            if voiced_end - self.text_end_sample >= samples_of_ms(LONGEST_UNHEARD_MS)
            else None
        )

    def _covers(self, voiced_end: int) -> bool:
        """Whether the words are those of all of the voice."""
        if self.text is None:
            return False
        # The first half of a "stop" is an "uh" to the recogniser.
        most_ms = 0 if is_vocal_sound(self.text) else UNHEARD_END_MS
        return voiced_end - self.text_end_sample <= samples_of_ms(most_ms)
