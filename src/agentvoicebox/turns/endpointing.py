"""How long a silence must last to end the turn: a fixed time, or one that depends on the evidence.

Pure arithmetic over evidence. The detector, which counts time in samples, asks again whenever evidence changes.
"""

from typing import Protocol

import msgspec

from agentvoicebox.turns.agent_evidence import ExpectedAnswer, Proof
from agentvoicebox.turns.rules import ASKED, incompleteness, is_short_answer
from agentvoicebox.wire.audio_config import TurnDetection

SURE_WAIT_MS = (
    288.0  # after what is proved to be all, at any eagerness; a voice pauses up to 280 ms in "Yes, that's right."
)
# The end-of-turn model takes 2 of 13 finished sentences for unfinished, so it alone adds at most this.
MODEL_CAP_MS = 1_000.0
RHYTHM_MARGIN_MS = 64.0  # a pause is measured to a window of 32 ms at either end
UNPROVED = 0.75  # doubt after a look-up that lacked something
# A number that lacks symbols is waited for at most so many times as long as a text that may go on. Callers pause about a second
# between its groups, and a number that was misheard lacks symbols for good.
NUMBER_PATIENCE = 2.0
LIKELY_FINISHED = 0.2  # a text with less doubt is finished, whatever pauses the caller makes elsewhere


class Waits(msgspec.Struct, frozen=True):
    """How patient an eagerness is, in milliseconds of silence.

    Attributes:
        asked_ms: after a whole question.
        finished_ms: after another sentence that sounds finished.
        undecided_ms: after a text that may go on.
        cap_ms: the longest wait, also for an answer that has no sound yet.
    """

    asked_ms: float
    finished_ms: float
    undecided_ms: float
    cap_ms: float


# `high` ends soonest. The caps of the others are OpenAI's documented timers.
EAGERNESS = {
    "low": Waits(640.0, 800.0, 1_200.0, 8_000.0),
    "medium": Waits(480.0, 600.0, 900.0, 4_000.0),
    "high": Waits(288.0, 352.0, 672.0, 1_200.0),
    "auto": Waits(480.0, 600.0, 900.0, 4_000.0),
}


class TurnEndEvidence(msgspec.Struct, frozen=True):
    """What is known about the speech before the present silence.

    Attributes:
        text: the recogniser's text, or None before its answer.
        completeness: the end-of-turn model's value, 0 (will go on) to 1 (finished), or None.
        expected: what the agent asked for.
        doubt: how unfinished the agent holds the text for, 0 to 1; None: it does not know better than the rules.
        proof: what tools that ran on the text prove.
        longest_pause_ms: of the pauses after which this caller went on, in this call; 0 for none.
    """

    text: str | None = None
    completeness: float | None = None
    expected: ExpectedAnswer = ExpectedAnswer.ANYTHING
    doubt: float | None = None
    proof: Proof = Proof.NOTHING
    longest_pause_ms: float = 0.0


class Endpointing(Protocol):
    """A rule for the end of a turn."""

    @property
    def hold_ms(self) -> float:
        """How much silence may pass at most while the first sound of the answer is awaited; 0: it is not awaited."""

    def wait_ms(self, evidence: TurnEndEvidence) -> float:
        """How much silence ends the turn, given the evidence."""

    def votes_ms(self, evidence: TurnEndEvidence) -> dict[str, float]:
        """How much silence each part of the rule asks for: `silence`, or `words`, `model` and `rhythm`. For a turn's trace."""


class FixedSilence:
    """server_vad: a fixed wait."""

    hold_ms = 0.0  # the client's figure is exact

    def __init__(self, silence_ms: float) -> None:
        self._silence_ms = silence_ms

    def wait_ms(self, evidence: TurnEndEvidence) -> float:
        """See Endpointing."""
        return self._silence_ms

    def votes_ms(self, evidence: TurnEndEvidence) -> dict[str, float]:
        """See Endpointing."""
        return {"silence": self._silence_ms}


class SemanticSilence:
    """semantic_vad: soon after what is proved or sounds finished, at the latest after the cap.

    The words decide. The model and the caller's own rhythm can only extend the wait: the model errs in one of six finished
    sentences, so nothing ends a turn before the words are known.
    """

    def __init__(self, waits: Waits) -> None:
        self._waits = waits

    @property
    def hold_ms(self) -> float:
        """See Endpointing: an earlier end would gain nothing, and cut a caller who goes on."""
        return self._waits.cap_ms

    def wait_ms(self, evidence: TurnEndEvidence) -> float:
        """See Endpointing."""
        return min(self._waits.cap_ms, max(self.votes_ms(evidence).values()))

    def votes_ms(self, evidence: TurnEndEvidence) -> dict[str, float]:
        """See Endpointing."""
        if _is_sure(evidence):
            return {"words": SURE_WAIT_MS}
        doubt = _doubt(evidence)
        votes = {"words": self._text_wait_ms(doubt, self._longest_ms(evidence))}
        if evidence.completeness is not None:
            votes["model"] = _model_wait_ms(self._waits.asked_ms, evidence.completeness)
        if evidence.longest_pause_ms > 0 and doubt >= LIKELY_FINISHED:
            votes["rhythm"] = evidence.longest_pause_ms + RHYTHM_MARGIN_MS
        return votes

    def _longest_ms(self, evidence: TurnEndEvidence) -> float:
        is_number = evidence.doubt is not None or evidence.proof is Proof.INCOMPLETE
        return min(self._waits.cap_ms, NUMBER_PATIENCE * self._waits.undecided_ms) if is_number else self._waits.cap_ms

    def _text_wait_ms(self, doubt: float, longest_ms: float) -> float:
        waits = self._waits
        if doubt <= ASKED:
            return waits.asked_ms
        if doubt < 0.5:
            return _between(waits.finished_ms, waits.undecided_ms, doubt / 0.5)
        return _between(waits.undecided_ms, longest_ms, (doubt - 0.5) / 0.5)


def endpointing_of(turn_detection: TurnDetection) -> Endpointing:
    """The rule of a client's settings."""
    if turn_detection.type == "semantic_vad":
        return SemanticSilence(EAGERNESS[turn_detection.eagerness])
    return FixedSilence(turn_detection.silence_duration_ms)


def _is_sure(evidence: TurnEndEvidence) -> bool:
    """Whether the turn is known to be over, not only likely."""
    if evidence.proof is Proof.COMPLETE:
        return True
    is_asked = evidence.expected is ExpectedAnswer.YES_OR_NO and evidence.proof is Proof.NOTHING
    return is_asked and evidence.text is not None and is_short_answer(evidence.text)


def _doubt(evidence: TurnEndEvidence) -> float:
    """How likely the caller goes on, 0 to 1; 0.5 before the words are known."""
    if evidence.text is None:
        return 0.5
    doubt = incompleteness(evidence.text) if evidence.doubt is None else evidence.doubt
    return max(doubt, UNPROVED) if evidence.proof is Proof.INCOMPLETE else doubt


def _model_wait_ms(least_ms: float, completeness: float) -> float:
    return _between(least_ms, max(least_ms, MODEL_CAP_MS), 1.0 - min(1.0, completeness / 0.5))


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
