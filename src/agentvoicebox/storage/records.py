"""What is recorded of a session, as it travels from the gateway to the recorder."""

import msgspec

from agentvoicebox.engine.effects import Persist


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
