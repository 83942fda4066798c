"""What is recorded of a session, as it travels from the gateway to the recorder."""

from collections.abc import Iterator

import msgspec

from agentvoicebox.engine.effects import Persist

PLACES_A_MICROSECOND = 1_000  # records of one batch that keep their order; the engine persists a few at a time


class RecordBatch(msgspec.Struct, frozen=True):
    """The payload (MessagePack) of a RECORD job: records of one session, in order.

    The job's `submitted_s` orders batches of a session; the place in `records` orders within.

    Attributes:
        audio_in_ms: caller's audio since the session began.
    """

    tenant_id: str
    session_id: str
    trace_id: str = ""
    records: tuple[Persist, ...] = ()
    audio_in_ms: int = 0


class TimedBatch(msgspec.Struct, frozen=True):
    """A batch and when it was submitted (wall time)."""

    batch: RecordBatch
    submitted_s: float

    def placed(self) -> Iterator[tuple[int, Persist]]:
        """Its records with the place of each in the session's record stream."""
        first = int(self.submitted_s * 1_000_000) * PLACES_A_MICROSECOND
        return enumerate(self.batch.records, start=first)
