"""Records of a session, as they travel from the gateway to the recorder."""

from collections.abc import Iterator

import msgspec

from agentvoicebox.engine.effects import Persist

PLACES_A_MICROSECOND = 1_000  # maximum of ordered records in one batch; the engine persists a few at a time

MAX_BATCH_BYTES = 1024 * 1024  # a larger batch is submitted in parts; the largest single record has about 600 KiB


class RecordBatch(msgspec.Struct, frozen=True):
    """The payload (MessagePack) of a RECORD job: records of one session, in order.

    The job's `submitted_s` orders batches of a session; the index in `records` orders records within a batch.

    Attributes:
        audio_in_ms: audio received from the caller since the session began.
        is_request: of a REST request, which is no session: only its usage is recorded.
    """

    tenant_id: str
    session_id: str
    trace_id: str = ""
    records: tuple[Persist, ...] = ()
    audio_in_ms: int = 0
    is_request: bool = False


class TimedBatch(msgspec.Struct, frozen=True):
    """A batch and when it was submitted (wall time)."""

    batch: RecordBatch
    submitted_s: float

    def placed(self) -> Iterator[tuple[int, Persist]]:
        """Its records, each with its position in the session's record stream."""
        first = int(self.submitted_s * 1_000_000) * PLACES_A_MICROSECOND
        return enumerate(self.batch.records, start=first)
