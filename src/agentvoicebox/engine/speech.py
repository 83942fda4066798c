"""Segments of a response → synthesis jobs → chunks in order.

Two jobs may be open at a time, so that the next segment is ready when the one before ends; credits bound how far synthesis
runs ahead of the caller's ear. Chunks of a later segment wait here (by name, not by bytes) until the earlier ones are sent.
"""

import msgspec

from agentvoicebox.engine.effects import CancelJob, OpenJob
from agentvoicebox.engine.jobs import Speak
from agentvoicebox.engine.playout import Said, samples_ms
from agentvoicebox.engine.step import Step

OPEN_JOBS = 2  # one speaking, one getting ready
AHEAD_MS = 8_000  # unplayed audio beyond which no further segment is begun; what a barge-in may throw away
TOLERANCE_MS = 1.0  # a deadline computed in floats may come a hair early
MS_PER_CHAR = (
    65.0  # Piper joe-medium at speed 1, measured over 60 sentences; only used while a segment's end is unknown
)


class Chunk(msgspec.Struct, frozen=True):
    """A chunk of audio by name: bytes lie in the gateway under (job_id, sequence)."""

    job_id: str
    sequence: int
    sample_count: int


class Segment(msgspec.Struct):
    """A piece of text spoken at once.

    Attributes:
        job_id: its synthesis job, once opened.
        start_ms: where it begins in the item's audio, once its first chunk is sent.
        sent_samples: 24 kHz samples sent.
        waiting: chunks that arrived before their turn.
        is_synthesised: no further chunk comes.
        is_announced: its text was sent as transcript.
    """

    text: str
    job_id: str | None = None
    start_ms: float = 0.0
    sent_samples: int = 0
    waiting: list[Chunk] = []
    is_synthesised: bool = False
    is_announced: bool = False


class Speech(msgspec.Struct):
    """The spoken side of one message.

    Attributes:
        segments: all of them, in order.
        current: index of the one being sent; equals len(segments) when all are sent.
    """

    segments: list[Segment] = []
    current: int = 0

    def add(self, texts: list[str]) -> None:
        """Further segments to speak."""
        self.segments += [Segment(text=text) for text in texts]

    @property
    def is_idle(self) -> bool:
        """Everything added so far is sent."""
        return self.current == len(self.segments)

    def open_due(self, step: Step, response_id: str, voice: str, speed: float, ahead_ms: float, limit: int) -> None:
        """Open as many synthesis jobs as credits allow; `limit` bounds the jobs open at once."""
        open_jobs = sum(1 for s in self.segments if s.job_id is not None and not s.is_synthesised)
        for segment in self.segments[self.current :]:
            if segment.job_id is not None or segment.is_synthesised:
                continue
            if open_jobs >= limit or (
                ahead_ms > AHEAD_MS + TOLERANCE_MS and segment is not self.segments[self.current]
            ):
                return
            segment.job_id = step.ids.next("job")
            open_jobs += 1
            step.do(OpenJob(segment.job_id, Speak(response_id, segment.text, voice, speed)))

    def find(self, job_id: str) -> Segment | None:
        """The segment of a live synthesis job."""
        return next((s for s in self.segments if s.job_id == job_id and not s.is_synthesised), None)

    def cancel(self, step: Step) -> None:
        """Stop every open job."""
        for segment in self.segments:
            if segment.job_id is not None and not segment.is_synthesised:
                step.do(CancelJob(segment.job_id))
                segment.is_synthesised = True

    def said(self) -> tuple[Said, ...]:
        """Where each announced segment lies in the audio, the last one's end estimated while it is being spoken."""
        said = []
        for segment in self.segments:
            if not segment.is_announced:
                break
            sent_ms = samples_ms(segment.sent_samples)
            is_whole = segment.is_synthesised and not segment.waiting
            length_ms = sent_ms if is_whole else max(sent_ms, len(segment.text) * MS_PER_CHAR)
            said.append(Said(segment.text, segment.start_ms, segment.start_ms + length_ms))
        return tuple(said)
