"""Segments of a response → synthesis jobs → chunks in order.

Two jobs may be open at a time, so that the next segment is ready when the one before ends; credits bound how far synthesis
runs ahead of playback. Chunks of a later segment wait here (by name, not by bytes) until the earlier ones are sent.
"""

from enum import StrEnum

import msgspec

from agentvoicebox.engine.effects import OpenJob
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.engine.machine import Machine
from agentvoicebox.engine.playout import SegmentSpan, samples_ms
from agentvoicebox.engine.step import Step

OPEN_JOBS = 2  # one being sent, one getting ready
AHEAD_MS = 8_000  # unplayed audio beyond which no further segment is begun; what a barge-in may throw away
TOLERANCE_MS = 1.0  # a deadline computed in floats may come slightly early
# Piper joe-medium at speed 1, measured over 60 sentences; only used while a segment's end is unknown.
MS_PER_CHAR = 65.0


class SegmentPhase(StrEnum):
    """Where a segment is in its life."""

    QUEUED = "queued"  # no job yet
    SYNTHESISING = "synthesising"  # its job is open; its chunks wait for the segments before it
    SENDING = "sending"  # its job is open; its text is sent, and each chunk as it comes
    SYNTHESISED = "synthesised"  # its job has ended; all its chunks wait for the segments before it
    SENT = "sent"  # text and audio have left for the client


class SegmentEvent(StrEnum):
    """What moves a segment to its next phase."""

    JOB_OPENED = "job_opened"
    TEXT_SENT = "text_sent"
    JOB_ENDED = "job_ended"


SEGMENT: Machine[SegmentPhase, SegmentEvent] = Machine(
    "speech_segment",
    initial=(SegmentPhase.QUEUED,),
    transitions={
        (SegmentPhase.QUEUED, SegmentEvent.JOB_OPENED): SegmentPhase.SYNTHESISING,
        (SegmentPhase.SYNTHESISING, SegmentEvent.TEXT_SENT): SegmentPhase.SENDING,
        (SegmentPhase.SYNTHESISING, SegmentEvent.JOB_ENDED): SegmentPhase.SYNTHESISED,
        (SegmentPhase.SENDING, SegmentEvent.JOB_ENDED): SegmentPhase.SENT,
        (SegmentPhase.SYNTHESISED, SegmentEvent.TEXT_SENT): SegmentPhase.SENT,
    },
)


class Chunk(msgspec.Struct, frozen=True):
    """A chunk of audio by name: its bytes lie in the gateway under (job_id, sequence)."""

    job_id: str
    sequence: int
    sample_count: int


class Segment(msgspec.Struct):
    """A piece of text that is synthesised at once.

    Attributes:
        job_id: its synthesis job, once opened.
        start_ms: where it begins in the item's audio, once its text is sent.
        sent_samples: 24 kHz samples sent.
        waiting: chunks that arrived before the segments ahead of it were sent, or while the caller may be interrupting.
        is_complete: its job has ended while chunks of it waited for a suspected interruption.
    """

    text: str
    phase: SegmentPhase = SegmentPhase.QUEUED
    job_id: str | None = None
    start_ms: float = 0.0
    sent_samples: int = 0
    waiting: list[Chunk] = []
    is_complete: bool = False

    @property
    def has_open_job(self) -> bool:
        """Whether it is being synthesised."""
        return self.phase in (SegmentPhase.SYNTHESISING, SegmentPhase.SENDING) and not self.is_complete

    def apply(self, event: SegmentEvent) -> None:
        """Go to the next phase. Raises IllegalTransition."""
        self.phase = SEGMENT.next(self.phase, event)


class SegmentQueue(msgspec.Struct):
    """The segments of one message, in order."""

    segments: list[Segment] = []

    def add(self, texts: list[str]) -> None:
        """Append segments."""
        self.segments += [Segment(text=text) for text in texts]

    @property
    def current(self) -> Segment | None:
        """The first segment that is not sent, or None."""
        return next((s for s in self.segments if s.phase is not SegmentPhase.SENT), None)

    @property
    def is_sent(self) -> bool:
        """Whether everything added so far is sent."""
        return self.current is None

    @property
    def awaits_credit(self) -> bool:
        """Whether synthesis stands still until the caller has heard more: a segment is queued and no job is open."""
        phases = {segment.phase for segment in self.segments}
        return SegmentPhase.QUEUED in phases and not phases & {SegmentPhase.SYNTHESISING, SegmentPhase.SENDING}

    def open_jobs(self) -> list[str]:
        """Ids of the synthesis jobs that are open."""
        return [s.job_id for s in self.segments if s.job_id is not None and s.has_open_job]

    def open_due(self, step: Step, response_id: str, voice: str, speed: float, ahead_ms: float, limit: int) -> None:
        """Open the synthesis jobs that credits allow.

        Args:
            step: collects the effects.
            response_id: the response that the segments belong to.
            voice: name of a voice.
            speed: 1 is normal.
            ahead_ms: audio that was sent and is not yet played.
            limit: how many jobs may be open at once.
        """
        has_credit = ahead_ms <= AHEAD_MS + TOLERANCE_MS
        current = self.current
        for segment in self.segments:
            if segment.phase is not SegmentPhase.QUEUED:
                continue
            if len(self.open_jobs()) >= limit or not (has_credit or segment is current):
                return
            segment.job_id = step.ids.next("job")
            segment.apply(SegmentEvent.JOB_OPENED)
            step.emit(OpenJob(segment.job_id, Synthesise(response_id, segment.text, voice, speed)))

    def find(self, job_id: str) -> Segment | None:
        """The segment of an open synthesis job, or None."""
        return next((s for s in self.segments if s.job_id == job_id and s.has_open_job), None)

    def spans(self) -> tuple[SegmentSpan, ...]:
        """Where each segment lies in the audio. The end of a segment that is still being sent is estimated."""
        spans = []
        for segment in self.segments:
            if segment.phase not in (SegmentPhase.SENDING, SegmentPhase.SENT):
                break
            sent_ms = samples_ms(segment.sent_samples)
            is_sent = segment.phase is SegmentPhase.SENT
            length_ms = sent_ms if is_sent else max(sent_ms, len(segment.text) * MS_PER_CHAR)
            spans.append(SegmentSpan(segment.text, segment.start_ms, segment.start_ms + length_ms))
        return tuple(spans)
