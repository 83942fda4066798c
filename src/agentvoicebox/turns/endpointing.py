"""How long a silence must last to end the turn: a fixed time, or one that depends on how finished the text sounds.

Pure arithmetic over evidence. The detector, which counts time in samples, asks again whenever evidence changes.
"""

from typing import Protocol

import msgspec

from agentvoicebox.turns.rules import incompleteness
from agentvoicebox.wire.audio_config import TurnDetection

FINISHED_WAIT_MS = 224  # after a sentence that sounds finished; shorter would cut off "yes … please"
UNDECIDED_WAIT_MS = 608  # without evidence: longer than most pauses inside a sentence, short enough to feel attentive
# The end-of-turn model takes 2 of 13 finished sentences for unfinished, so it alone adds at most this.
MODEL_CAP_MS = 1_000
EAGERNESS_CAP_MS = {"low": 8_000, "medium": 4_000, "high": 2_000, "auto": 4_000}  # OpenAI's documented timers


class TurnEndEvidence(msgspec.Struct, frozen=True):
    """What is known about the speech before the present silence.

    Attributes:
        text: the recogniser's text, or None before its answer.
        completeness: the end-of-turn model's value, 0 (will go on) to 1 (finished), or None.
    """

    text: str | None = None
    completeness: float | None = None


class Endpointing(Protocol):
    """A rule for the end of a turn."""

    def wait_ms(self, evidence: TurnEndEvidence) -> float:
        """How much silence ends the turn, given the evidence."""


class FixedSilence:
    """server_vad: a fixed wait."""

    def __init__(self, silence_ms: float) -> None:
        self._silence_ms = silence_ms

    def wait_ms(self, evidence: TurnEndEvidence) -> float:
        """See Endpointing."""
        return self._silence_ms


class SemanticSilence:
    """semantic_vad: soon after a finished sentence, at the latest after `cap_ms`.

    Text that sounds unfinished can extend the wait up to the cap; the model can only extend the wait, and only up to
    MODEL_CAP_MS.
    """

    def __init__(self, cap_ms: float) -> None:
        self._cap_ms = cap_ms

    def wait_ms(self, evidence: TurnEndEvidence) -> float:
        """See Endpointing."""
        return min(self._cap_ms, max(self._text_wait_ms(evidence), _model_wait_ms(evidence.completeness)))

    def _text_wait_ms(self, evidence: TurnEndEvidence) -> float:
        if evidence.text is None:
            # No text yet: the model alone may end the turn early.
            return UNDECIDED_WAIT_MS if evidence.completeness is None else FINISHED_WAIT_MS
        doubt = incompleteness(evidence.text)
        if doubt < 0.5:
            return _between(FINISHED_WAIT_MS, UNDECIDED_WAIT_MS, doubt / 0.5)
        return _between(UNDECIDED_WAIT_MS, self._cap_ms, (doubt - 0.5) / 0.5)


def endpointing_of(turn_detection: TurnDetection) -> Endpointing:
    """The rule of a client's settings."""
    if turn_detection.type == "semantic_vad":
        return SemanticSilence(EAGERNESS_CAP_MS[turn_detection.eagerness])
    return FixedSilence(turn_detection.silence_duration_ms)


def _model_wait_ms(completeness: float | None) -> float:
    if completeness is None:
        return 0.0
    return _between(FINISHED_WAIT_MS, MODEL_CAP_MS, 1.0 - min(1.0, completeness / 0.5))


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
