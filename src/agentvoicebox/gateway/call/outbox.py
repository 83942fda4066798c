"""Everything that a session writes to the store, in one order: log entries, jobs, cancels, and the caller's audio.

Two sides add actions: the driver, which waits until they are stored, and the audio input, which does not. Each flush takes
everything that waits, so a busy session needs fewer round trips, not more. When the store is away the batch is lost and
`on_lost` gets it; only records are kept and sent again.
"""

import asyncio
from collections.abc import Callable, Sequence

from agentvoicebox.broker.light_event import LightEvent
from agentvoicebox.errors import BrokerLost, SessionTaken
from agentvoicebox.ports.broker import AppendAudio, AudioEntry, Broker, Dispatch, JobKind, SessionRef, Submit
from agentvoicebox.telemetry.logs import get_logger

CAPACITY = 2_000  # actions; 40 s of 20 ms audio entries that the store has not taken: then the caller is not read

log = get_logger(__name__)


class Outbox:
    """One session's writes to the store.

    Attributes:
        has_lost: a batch with log entries was lost: only a snapshot makes the session restorable again.
        is_taken: the session has another owner: nothing is written any more.
        on_lost: called with each batch that the store did not take.
    """

    def __init__(self, broker: Broker, session: SessionRef, *, owner: str = "") -> None:
        """`owner`: our token for the session."""
        self._broker = broker
        self._session = session
        self._owner = owner
        self.is_taken = False
        self.has_lost = False
        self.on_lost: Callable[[Sequence[Dispatch]], None] = _ignore
        self._waiting: list[Dispatch] = []
        self._has_some = LightEvent()
        self._flushing = asyncio.Lock()
        self._is_closed = False

    def put(self, *actions: Dispatch) -> None:
        """Add actions; they are written by the next flush, at the latest when `run` gets its turn."""
        self._waiting.extend(actions)
        self._has_some.set()

    def put_audio(self, job_id: str, entry: AudioEntry) -> None:
        """Add a piece of the caller's audio for a job."""
        self.put(AppendAudio(self._session, job_id, entry))

    @property
    def is_full(self) -> bool:
        """Whether so much waits that the caller should not be read until it is written."""
        return len(self._waiting) >= CAPACITY

    async def flush(self) -> None:
        """Return once everything added before has reached the store, or was lost.

        Raises:
            SessionTaken: now and on every later call, once the session has another owner.
        """
        async with self._flushing:
            batch, self._waiting = self._waiting, []
            self._has_some.clear()
            if self.is_taken:
                raise SessionTaken("the session has another owner")
            if not batch:
                return
            try:
                await self._broker.dispatch(batch, owner=self._owner)
            except SessionTaken:
                self.is_taken = True
                raise
            except BrokerLost as error:
                log.warning("the store did not take a batch", code=error.code, reason=error.message, actions=len(batch))
                self.has_lost = True
                self._keep_records(batch)
                self.on_lost(batch)

    def _keep_records(self, batch: Sequence[Dispatch]) -> None:
        """Records must be written even if late; everything else is useless later."""
        records = [each for each in batch if isinstance(each, Submit) and each.job.kind is JobKind.RECORD]
        self._waiting[:0] = records
        if records:
            self._has_some.set()

    def close(self) -> None:
        """End `run`. What is still added is written by `flush`."""
        self._is_closed = True
        self._has_some.set()

    async def run(self) -> None:
        """Write what no one waits for (audio) as soon as it is added, until closed."""
        while not self._is_closed:
            await self._has_some.wait()
            await self.flush()


def _ignore(batch: Sequence[Dispatch]) -> None:
    pass
