"""Jobs held by workers: claimed from their streams, published under their fences, and ended once.

Invariants: a job is done, cancelled or dead once. Only the attempt written in a job's fence publishes. A result is in its
stream before it is announced. A job is acknowledged after its last result.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog
from redis.exceptions import ResponseError

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, Script, StreamEntry, new_nonce
from agentvoicebox.broker.envelope import pack_job, pack_result, unpack_job
from agentvoicebox.broker.job_streams import ALL, JobStreams
from agentvoicebox.broker.reclaim import Reclaimer
from agentvoicebox.broker.stream_range import StreamRange, before
from agentvoicebox.clock import Clock
from agentvoicebox.engine.inputs import JobFailed
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import Claim, JobKind, JobResult

_DAMAGED = b"damaged"
_DAMAGED_FENCE = ("WRONGTYPE", "not an integer")
_PUT_BACK = b"again"  # the field with which `lua/requeue` marks an entry

_log = structlog.get_logger(__name__)


class Claims:
    """Claims of one process. Every method raises BrokerLost.

    Args:
        clock: wall time for `claimed_s` and `published_s`.
        reclaim_idle_s: silence after which a worker counts as dead.
        max_attempts: attempts of a job before it is dead; None: as `keys` defines for its kind.
        on_dead_letter: called with the kind of each job that is given up.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        clock: Clock,
        reclaim_idle_s: float,
        max_attempts: int | None,
        on_dead_letter: Callable[[JobKind], None],
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._max_attempts = max_attempts
        self.streams = JobStreams(connection, on_dead_letter=on_dead_letter)
        self._reclaimer = Reclaimer(connection, idle_s=reclaim_idle_s)
        self._held: dict[JobKind, dict[bytes, str]] = {kind: {} for kind in JobKind}
        self._publish = Script("publish")
        self._begin = Script("begin_attempt")
        self._range = StreamRange(connection)

    async def claim(
        self, kind: JobKind, worker: str, *, slots: int, wait_s: float, most_bytes: int | None = None
    ) -> list[Claim]:
        """See Broker."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while True:
            entries: list[StreamEntry] = []
            if self._reclaimer.is_due(kind):
                held = {entry for entry, holder in self._held[kind].items() if holder == worker}
                entries = await self._connection.call(
                    lambda held=held: self._reclaimer.reclaim(  # type: ignore[misc]
                        kind, worker, count=slots, held=held, most_bytes=most_bytes
                    )
                )
            left_s = until_s - loop.time()
            if not entries:
                block_s = max(0.0, min(left_s, self._reclaimer.longest_wait_s))
                entries = await self.streams.read_new(kind, worker, count=slots, block_s=block_s, most_bytes=most_bytes)
            claims = [
                claim for claim in await asyncio.gather(*(self._begin_attempt(kind, one) for one in entries)) if claim
            ]
            if claims or loop.time() >= until_s:
                for claim in claims:
                    # Held entries are tracked per worker, so that two workers in one process can take over from each other.
                    self._held[kind][claim.entry_id.encode()] = worker
                return claims

    async def _begin_attempt(self, kind: JobKind, entry: StreamEntry) -> Claim | None:
        entry_id, fields = entry
        try:
            job = unpack_job(fields.get(b"j", b""))
            fence = keys.job(kind, job.session, job.job_id)
        except (BrokerLost, ValueError) as error:  # ValueError: ids that no key may hold
            await self._reject(kind, entry, type(error).__name__)
            return None
        if job.kind is not kind:
            await self._reject(kind, entry, "of another kind")
            return None
        must_exist = "0" if kind is JobKind.RECORD else "1"
        # A job can be in its stream twice only where it is enqueued in a separate step.
        fed_as = entry_id if self._connection.store.is_cluster and _PUT_BACK not in fields else b""
        renewed = keys.RECORD_JOB_TTL_S if kind is JobKind.RECORD else ""
        arguments = [must_exist, self._max_attempts or keys.max_attempts(kind), renewed, fed_as]

        async def begin() -> Any:
            try:
                return await self._begin(self._connection.commands, [fence], arguments)
            except ResponseError as error:
                if not any(sign in str(error) for sign in _DAMAGED_FENCE):
                    raise
                return _DAMAGED, 0, 0

        verdict, attempt, published = await self._connection.call(begin)
        claim = Claim(
            job=job,
            entry_id=entry_id.decode(),
            attempt=attempt,
            published=published,
            claimed_s=self._clock.wall_s(),
        )
        match verdict:
            case b"go":
                return claim
            case b"spent":
                await self.fail(claim, code="worker_lost", message="each worker that took this job was lost")
            case b"twin":
                await self.streams.remove(kind, claim.entry_id)
            case _ if verdict == _DAMAGED:
                await self._reject(kind, entry, "its fence is damaged")
            case _:
                await self.release(claim)
        return None

    async def _reject(self, kind: JobKind, entry: StreamEntry, why: str) -> None:
        """A damaged job becomes a dead letter at once: no worker could ever begin it."""
        entry_id, fields = entry
        _log.error("a job can't be read", kind=kind, error=why)
        await self.streams.to_dead_letters(kind, {**fields, b"code": "unreadable"})
        await self.streams.remove(kind, entry_id.decode())

    async def publish(self, claim: Claim, body: bytes, *, audio: bytes = b"", is_last: bool = False) -> bool:
        """See Broker."""
        job = claim.job
        stream = keys.result_stream(job.kind, job.session)
        record = JobResult(
            job_id=job.job_id,
            kind=job.kind,
            sequence=0,
            attempt=claim.attempt,
            body=body,
            audio=audio,
            claimed_s=claim.claimed_s,
            published_s=self._clock.wall_s(),
            is_last=is_last,
        )
        arguments: list[Any] = [
            claim.attempt,
            new_nonce(),
            "1" if is_last else "0",
            keys.channel(job.kind, job.session),
            keys.result_entries(job.kind, len(body) + len(audio)),
            keys.SESSION_DATA_TTL_S,
            pack_result(record),
        ]
        involved = [
            keys.job(job.kind, job.session, job.job_id),
            stream,
            keys.audio_in(job.session, job.job_id),
        ]
        sequence = await self._connection.call(lambda: self._publish(self._connection.commands, involved, arguments))
        if sequence > 0 and is_last:
            await self._acknowledge(claim)
        if sequence == -1:
            self._untrack(claim)
        return bool(sequence > 0)

    async def published(self, claim: Claim) -> list[JobResult]:
        """See Broker."""
        job = claim.job
        stream = keys.result_stream(job.kind, job.session)
        fence = keys.job(job.kind, job.session, job.job_id)
        first: Any = await self._connection.call(lambda: self._connection.commands.hget(fence, "first"))
        return [] if first is None else await self._range.results_of(stream, before(first), {job.job_id})

    async def release(self, claim: Claim) -> None:
        """See Broker. The utterance's audio goes with it."""
        self._untrack(claim)
        if claim.job.kind is JobKind.STT:
            stream = keys.audio_in(claim.job.session, claim.job.job_id)
            await self._connection.call(lambda: self._connection.commands.unlink(stream))
        await self._acknowledge(claim)

    async def hand_back(self, claim: Claim) -> None:
        """See Broker."""
        worker = self._untrack(claim)
        if worker is not None:
            await self.streams.put_back(claim.job.kind, worker, claim.entry_id)

    async def release_consumer(self, kind: JobKind, worker: str) -> None:
        """See Broker."""
        self._held[kind] = {entry: holder for entry, holder in self._held[kind].items() if holder != worker}
        await self.streams.put_back(kind, worker, ALL)

    async def fail(self, claim: Claim, *, code: str, message: str) -> None:
        """See Broker."""
        job = claim.job
        fields: dict[Any, Any] = {b"j": pack_job(job), b"code": code, b"attempt": claim.attempt}

        self._untrack(claim)
        if job.kind is JobKind.RECORD:  # no conversation waits for its result
            await self.streams.to_dead_letters(job.kind, fields)
            await self._acknowledge(claim)
            return
        body = msgspec.msgpack.encode(JobFailed(job_id=job.job_id, code=code, message=message))
        if await self.publish(claim, body, is_last=True):
            await self.streams.to_dead_letters(job.kind, fields)

    async def _acknowledge(self, claim: Claim) -> None:
        self._untrack(claim)
        job = claim.job
        fence = keys.job(job.kind, job.session, job.job_id) if job.kind is JobKind.RECORD else None
        await self.streams.remove(job.kind, claim.entry_id, fence=fence)

    def _untrack(self, claim: Claim) -> str | None:
        """Stop tracking a held entry, before the store is updated: if that fails, the entry is reclaimed."""
        return self._held[claim.job.kind].pop(claim.entry_id.encode(), None)

    async def renew_lease(self, kind: JobKind, worker: str, claims: Sequence[Claim]) -> None:
        """See Broker."""
        if claims:
            await self.streams.renew_lease(kind, worker, [claim.entry_id for claim in claims])

    async def is_cancelled(self, claim: Claim) -> bool:
        """See Broker. A job whose session was deleted counts as cancelled; a record job belongs to no session."""
        fence = keys.job(claim.job.kind, claim.job.session, claim.job.job_id)
        attempt, cancelled = await self._connection.call(
            lambda: self._connection.commands.hmget(fence, ["attempt", "cancelled"])
        )
        is_forgotten = attempt is None and claim.job.kind is not JobKind.RECORD
        return cancelled is not None or is_forgotten
