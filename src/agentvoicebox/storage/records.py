"""Records of a session, as they travel from the gateway to the recorder."""

from collections.abc import Iterator

import msgspec

from agentvoicebox.engine.effects import Persist

PLACES_A_MICROSECOND = 1_000  # maximum of ordered records in one batch; the engine persists a few at a time

TURN, VERDICT, AUDIO = "turn", "session_verdict", "audio"
"""Kinds of record that the gateway adds to those of the engine: the latency ledger of an answered turn, what the replay of an
ended session showed, and a piece of the audio of a call. The first two hold numbers and ids, no words."""

MAX_BATCH_BYTES = 1024 * 1024  # a larger batch is submitted in parts; the largest single record has about 600 KiB


class RecordBatch(msgspec.Struct, frozen=True):
    """The payload (MessagePack) of a RECORD job: records of one session, in order.

    The job's `submitted_s` orders batches of a session; the index in `records` orders records within a batch.

    Attributes:
        audio_in_ms: audio received from the caller since the session began.
        is_request: of a REST request, which is no session: only its usage is recorded.
        owner, number: the gateway's hold on the session, and the batch's place among those of that hold, from 0, without gaps;
            events wait for the batches before theirs. -1: it is not counted.
    """

    tenant_id: str
    session_id: str
    trace_id: str = ""
    records: tuple[Persist, ...] = ()
    audio_in_ms: int = 0
    is_request: bool = False
    owner: str = ""
    number: int = -1

    @property
    def is_of_call(self) -> bool:
        """Whether the session was still connected: a verdict comes after its end."""
        return not self.is_request and {record.kind for record in self.records} != {VERDICT}


class TimedBatch(msgspec.Struct, frozen=True):
    """A batch and when it was submitted (wall time)."""

    batch: RecordBatch
    submitted_s: float

    def placed(self) -> Iterator[tuple[int, Persist]]:
        """Its records, each with its position in the session's record stream."""
        first = int(self.submitted_s * 1_000_000) * PLACES_A_MICROSECOND
        return enumerate(self.batch.records, start=first)
