"""The broker over Valkey/Redis Streams: jobs to consumer groups, results to durable streams, announced by pub/sub.

One facade for all roles; each part keeps its own invariants: what gateways submit (`dispatcher`), what workers hold
(`claims`), what a session has stored (`session_streams`). The keys are in `keys`, atomic steps are in `lua/`. Waiting reads never
use up the connections that publish.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

from agentvoicebox.broker import keys
from agentvoicebox.broker.claims import Claims
from agentvoicebox.broker.connection import RETRY_FOR_S, Connection
from agentvoicebox.broker.dispatcher import Dispatcher
from agentvoicebox.broker.session_streams import SessionStreams
from agentvoicebox.broker.subscriber import Subscriber
from agentvoicebox.broker.utterance_reader import UtteranceReader
from agentvoicebox.broker.workload import read_workload
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.ports.broker import (
    AudioEntry,
    Claim,
    Dispatch,
    JobKind,
    JobResult,
    ResultStream,
    SessionRef,
    Workload,
)


class _Cancellations:
    """A listener that queues cancelled job ids until they are read. Ids are small and few; the queue needs no bound."""

    def __init__(self) -> None:
        self.ids: asyncio.Queue[str] = asyncio.Queue()

    def on_message(self, payload: bytes) -> None:
        self.ids.put_nowait(payload.decode())

    def on_gap(self) -> None:
        """Workers find cancellations that were missed in the fences (`is_cancelled`, `publish`)."""


class RedisBroker:
    """See `ports.broker.Broker`. One instance a process.

    Args:
        url: one server or a cluster, see `connection.connect`.
        clock: wall time for `claimed_s` and `published_s`.
        retry_for_s: how long a call is retried while the store is away.
        reclaim_idle_s: silence after which a worker counts as dead.
        max_attempts: attempts of a job before it is dead; None: as `keys` defines for its kind.
        on_dead_letter: called with the kind of each job that is given up here.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        retry_for_s: float = RETRY_FOR_S,
        reclaim_idle_s: float = keys.RECLAIM_IDLE_S,
        max_attempts: int | None = None,
        on_dead_letter: Callable[[JobKind], None] = lambda kind: None,
    ) -> None:
        self._connection = Connection(url, retry_for_s=retry_for_s)
        self._subscriber = Subscriber(self._connection, retry_for_s=retry_for_s)
        self._dispatcher = Dispatcher(self._connection)
        self._session_streams = SessionStreams(self._connection, self._subscriber)
        self._claims = Claims(
            self._connection,
            clock=clock or SystemClock(),
            reclaim_idle_s=reclaim_idle_s,
            max_attempts=max_attempts,
            on_dead_letter=on_dead_letter,
        )
        self._utterances = UtteranceReader(self._connection)

    @property
    def connection(self) -> Connection:
        """The connection to the store, which `sessions` shares."""
        return self._connection

    @property
    def subscriber(self) -> Subscriber:
        """The pub/sub connections, which `sessions` shares."""
        return self._subscriber

    # -- for gateways ------------------------------------------------------------------------------------------

    async def dispatch(self, actions: Sequence[Dispatch], *, owner: str = "") -> None:
        """See Broker."""
        await self._dispatcher.dispatch(actions, owner)

    async def results(self, session: SessionRef, *, taken: Mapping[str, int] | None = None) -> ResultStream:
        """See Broker."""
        return await self._session_streams.results(session, taken)

    async def audio(self, session: SessionRef, job_ids: Collection[str]) -> list[JobResult]:
        """See Broker."""
        return await self._session_streams.audio(session, job_ids)

    async def delivered(self, session: SessionRef, job_id: str) -> list[AudioEntry]:
        """See Broker."""
        return await self._session_streams.delivered(session, job_id)

    async def attempts(self, session: SessionRef, jobs: Mapping[str, JobKind]) -> dict[str, int]:
        """See Broker."""
        return await self._session_streams.attempts(session, jobs)

    async def forget(self, session: SessionRef) -> None:
        """See Broker. Record jobs are kept: they outlive their session."""
        await self._session_streams.forget(session)

    # -- for workers -------------------------------------------------------------------------------------------

    async def claim(
        self, kind: JobKind, worker: str, *, slots: int, wait_s: float, most_bytes: int | None = None
    ) -> list[Claim]:
        """See Broker."""
        return await self._claims.claim(kind, worker, slots=slots, wait_s=wait_s, most_bytes=most_bytes)

    async def publish(self, claim: Claim, body: bytes, *, audio: bytes = b"", is_last: bool = False) -> bool:
        """See Broker."""
        return await self._claims.publish(claim, body, audio=audio, is_last=is_last)

    async def published(self, claim: Claim) -> list[JobResult]:
        """See Broker."""
        return await self._claims.published(claim)

    async def release(self, claim: Claim) -> None:
        """See Broker. Also deletes the utterance's audio."""
        await self._claims.release(claim)

    async def hand_back(self, claim: Claim) -> None:
        """See Broker."""
        await self._claims.hand_back(claim)

    async def release_consumer(self, kind: JobKind, worker: str) -> None:
        """See Broker."""
        await self._claims.release_consumer(kind, worker)

    async def fail(self, claim: Claim, *, code: str, message: str) -> None:
        """See Broker."""
        await self._claims.fail(claim, code=code, message=message)

    async def renew_lease(self, kind: JobKind, worker: str, claims: Sequence[Claim]) -> None:
        """See Broker."""
        await self._claims.renew_lease(kind, worker, claims)

    async def cancellations(self, kind: JobKind) -> AsyncIterator[str]:
        """See Broker."""
        listener = _Cancellations()
        channels = [keys.cancel_channel(kind)]
        await self._subscriber.subscribe(channels, listener)
        try:
            while True:
                yield await listener.ids.get()
        finally:
            await self._subscriber.unsubscribe(channels, listener)

    async def is_cancelled(self, claim: Claim) -> bool:
        """See Broker."""
        return await self._claims.is_cancelled(claim)

    async def utterance(self, claim: Claim) -> AsyncIterator[AudioEntry]:
        """See Broker."""
        async for entry in self._utterances.read(keys.audio_in(claim.job.session, claim.job.job_id)):
            yield entry

    async def queue_age_s(self, kind: JobKind) -> float:
        """See Broker."""
        return await self._claims.streams.oldest_waiting_ms(kind) / 1000

    async def workers(self, kind: JobKind) -> int:
        """See Broker."""
        return await self._claims.streams.live_workers(kind)

    async def workload(self) -> dict[JobKind, Workload]:
        """See Broker."""
        return await read_workload(self._connection)

    async def close(self) -> None:
        """See Broker."""
        await self._utterances.close()
        await self._subscriber.close()
        await self._connection.close()
