"""Brings the verdict on each ended session from the thread that replays recordings to the recorder, as one more batch of records.

A verdict is no reason to wait: when the store is away, the session stays without one.
"""

import asyncio
import contextlib
import secrets

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.engine.effects import Persist
from agentvoicebox.errors import BrokerLost
from agentvoicebox.interactions.tape import Tape
from agentvoicebox.interactions.verdict import ReplayVerdict
from agentvoicebox.ports.broker import Broker, Job, JobKind, SessionRef, Submit
from agentvoicebox.storage.records import VERDICT, RecordBatch
from agentvoicebox.telemetry.logs import get_logger

log = get_logger(__name__)


class VerdictRecords:
    """One gateway's. Made on its event loop; close it when no more verdicts come."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._submitting: set[asyncio.Task[None]] = set()

    def put(self, tape: Tape, verdict: ReplayVerdict) -> None:
        """Have a verdict recorded; callable from any thread. A tape without a session has none."""
        if not tape.session_id:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is about to end
            self._loop.call_soon_threadsafe(self._begin, tape, verdict)

    async def close(self) -> None:
        """Return when every verdict is submitted, or given up."""
        await asyncio.gather(*self._submitting)

    def _begin(self, tape: Tape, verdict: ReplayVerdict) -> None:
        task = asyncio.create_task(self._submit(tape, verdict), name="verdict")
        self._submitting.add(task)
        task.add_done_callback(self._submitting.discard)

    async def _submit(self, tape: Tape, verdict: ReplayVerdict) -> None:
        session = SessionRef(tape.tenant_id, tape.session_id)
        record = Persist(session.session_id, VERDICT, msgspec.to_builtins(verdict))
        batch = RecordBatch(session.tenant_id, session.session_id, tape.correlation_id, (record,))
        payload = msgspec.msgpack.encode(batch)
        job_id = f"rec_{secrets.token_hex(10)}"
        job = Job(job_id, JobKind.RECORD, session, payload, self._clock.wall_s(), tape.correlation_id)
        try:
            await self._broker.dispatch([Submit(job)])
        except BrokerLost:
            log.warning("the verdict on a session was not recorded", session_id=session.session_id)
