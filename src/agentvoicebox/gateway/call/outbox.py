"""Everything a session hands to the store, in one order: log entries, jobs, cancels, and the caller's audio.

Two sides put things in: the driver, which waits until they are there, and the ingest, which does not. Whoever comes first
takes all that is waiting along, so that a busy session needs fewer round trips, not more. A store that is away loses the
batch, and whoever cares is told; only records are kept and tried again.
"""

import asyncio
from collections.abc import Callable, Sequence

from agentvoicebox.broker.light_event import LightEvent
from agentvoicebox.errors import BrokerLost, SessionTaken
from agentvoicebox.ports.broker import Broker, Dispatch, JobKind, Submit
from agentvoicebox.telemetry.logs import get_logger

ROOM = 2_000  # actions; 40 s of 20 ms audio entries that the store has not taken: then the caller is read no further

log = get_logger(__name__)


class Outbox:
    """One session's way out to the store.

    Attributes:
        has_lost: a batch with log entries was lost: only a snapshot makes the session restorable again.
        is_taken: the session has another owner: nothing goes out any more.
    """

    def __init__(self, broker: Broker, lost: Callable[[Sequence[Dispatch]], None], *, owner: str = "") -> None:
        """`lost` is called with each batch that the store did not take; `owner` is our token for the session."""
        self._broker = broker
        self._owner = owner
        self.is_taken = False
        self._lost = lost
        self._waiting: list[Dispatch] = []
        self._has_some = LightEvent()
        self._one_at_a_time = asyncio.Lock()
        self._is_closed = False
        self.has_lost = False

    def put(self, *actions: Dispatch) -> None:
        """Add actions; they go out with the next flush, at the latest when `run` next gets its turn."""
        self._waiting.extend(actions)
        self._has_some.set()

    @property
    def is_full(self) -> bool:
        """Whether so much waits that whoever adds should stop until it is gone."""
        return len(self._waiting) >= ROOM

    async def flush(self) -> None:
        """Return once everything put in before has reached the store, or was lost with it.

        Raises:
            SessionTaken: now and ever after, once the session has another owner.
        """
        async with self._one_at_a_time:
            batch, self._waiting = self._waiting, []
            self._has_some.clear()
            if self.is_taken:
                raise SessionTaken("the session is another gateway's by now")
            if not batch:
                return
            try:
                await self._broker.dispatch(batch, owner=self._owner)
            except SessionTaken:
                self.is_taken = True
                raise
            except BrokerLost as error:
                log.warning("the store took nothing", error=error.code, actions=len(batch))
                self.has_lost = True
                self._keep(batch)
                self._lost(batch)

    def _keep(self, batch: Sequence[Dispatch]) -> None:
        """Records are owed even if they come late; the rest is of no use later."""
        records = [each for each in batch if isinstance(each, Submit) and each.job.kind is JobKind.RECORD]
        self._waiting[:0] = records
        if records:
            self._has_some.set()

    def close(self) -> None:
        """End `run`. What is still put in goes out with `flush`."""
        self._is_closed = True
        self._has_some.set()

    async def run(self) -> None:
        """Send what nobody waits for (audio), as soon as it comes. Runs until closed."""
        while not self._is_closed:
            await self._has_some.wait()
            await self.flush()
