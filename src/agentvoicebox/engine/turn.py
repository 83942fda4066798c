"""A user turn: a stretch of caller audio on its way to becoming an item with a transcript.

Knows phases and ids; `listening` applies the events and sends what follows. All phases change by TURN below.
"""

from enum import StrEnum

import msgspec

from agentvoicebox.engine.machine import Machine


class TurnPhase(StrEnum):
    """Where a user turn is in its life."""

    SPEAKING = "speaking"  # the detector hears speech
    PAUSED = "paused"  # silence that may be the end; the recogniser is asked for the text so far
    MANUAL = "manual"  # turn detection is off: the client's commit ends it
    AWAITING_TRANSCRIPT = "awaiting_transcript"  # committed; the recogniser owes the text
    TRANSCRIBED = "transcribed"
    FAILED = "failed"  # committed, and the recogniser gave up: an item without text
    DISCARDED = "discarded"  # cleared, or void because turn detection was switched


class TurnEvent(StrEnum):
    """What moves a user turn to its next phase."""

    PAUSED = "paused"
    RESUMED = "resumed"
    COMMITTED = "committed"
    TRANSCRIBED = "transcribed"
    RECOGNISER_FAILED = "recogniser_failed"
    DISCARDED = "discarded"


TURN: Machine[TurnPhase, TurnEvent] = Machine(
    "user_turn",
    initial=(TurnPhase.SPEAKING, TurnPhase.MANUAL),
    transitions={
        (TurnPhase.SPEAKING, TurnEvent.PAUSED): TurnPhase.PAUSED,
        (TurnPhase.SPEAKING, TurnEvent.RESUMED): TurnPhase.SPEAKING,  # restored without its pause, by an older snapshot
        (TurnPhase.SPEAKING, TurnEvent.COMMITTED): TurnPhase.AWAITING_TRANSCRIPT,
        (TurnPhase.SPEAKING, TurnEvent.RECOGNISER_FAILED): TurnPhase.SPEAKING,  # the failure is kept until the commit
        (TurnPhase.SPEAKING, TurnEvent.DISCARDED): TurnPhase.DISCARDED,
        (TurnPhase.PAUSED, TurnEvent.PAUSED): TurnPhase.PAUSED,  # another gateway's detector finds the same pause
        (TurnPhase.PAUSED, TurnEvent.RESUMED): TurnPhase.SPEAKING,
        (TurnPhase.PAUSED, TurnEvent.COMMITTED): TurnPhase.AWAITING_TRANSCRIPT,
        (TurnPhase.PAUSED, TurnEvent.RECOGNISER_FAILED): TurnPhase.PAUSED,
        (TurnPhase.PAUSED, TurnEvent.DISCARDED): TurnPhase.DISCARDED,
        (TurnPhase.MANUAL, TurnEvent.COMMITTED): TurnPhase.AWAITING_TRANSCRIPT,
        (TurnPhase.MANUAL, TurnEvent.RECOGNISER_FAILED): TurnPhase.MANUAL,
        (TurnPhase.MANUAL, TurnEvent.DISCARDED): TurnPhase.DISCARDED,
        (TurnPhase.AWAITING_TRANSCRIPT, TurnEvent.TRANSCRIBED): TurnPhase.TRANSCRIBED,
        (TurnPhase.AWAITING_TRANSCRIPT, TurnEvent.RECOGNISER_FAILED): TurnPhase.FAILED,
        (TurnPhase.AWAITING_TRANSCRIPT, TurnEvent.DISCARDED): TurnPhase.DISCARDED,  # the session ends
    },
)


class Turn(msgspec.Struct):
    """One user turn.

    Attributes:
        item_id: the item it will become.
        job_id: its recogniser job.
        start_sample: input position of its first sample (16 kHz).
        text: the recogniser's latest hypothesis; None before the first.
        text_end_sample: how far that hypothesis reaches.
        pause_sample: where speech ended, while paused; None in other phases, and once the recogniser failed.
        failure: (code, message) when the recogniser gave up on it before the commit.
        was_suspect: it was suspected before it began, so that the words up to its first pause may be known already.
    """

    item_id: str
    job_id: str
    start_sample: int
    phase: TurnPhase
    text: str | None = None
    text_end_sample: int = -1
    pause_sample: int | None = None
    failure: tuple[str, str] | None = None
    was_suspect: bool = False

    @property
    def is_manual(self) -> bool:
        """Whether it was opened by the first audio, not by detected speech, and is not committed."""
        return self.phase is TurnPhase.MANUAL

    def apply(self, event: TurnEvent) -> None:
        """Go to the next phase. Raises IllegalTransition."""
        self.phase = TURN.next(self.phase, event)
