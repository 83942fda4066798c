"""What is recorded of a session, as it travels from the gateway to the recorder."""

import msgspec

from agentvoicebox.engine.effects import Persist


class RecordBatch(msgspec.Struct, frozen=True):
    """The payload (MessagePack) of a RECORD job: records of one session, in order.

    The job's `submitted_s` orders batches of a session; the place in `records` orders within.
    """

    tenant_id: str
    session_id: str
    trace_id: str = ""
    records: tuple[Persist, ...] = ()
