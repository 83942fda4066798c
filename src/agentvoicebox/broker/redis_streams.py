"""The broker over Valkey/Redis Streams: jobs to consumer groups, records to durable streams, announced by pub/sub.

Knows the order of commands and what they guarantee; which keys they touch is in `keys`, atomic steps are in `lua/`.

Laws: a job is done, cancelled or dead once. Only the attempt written in a job's fence publishes. A record is in its
stream before it is announced. A job is acknowledged after its last record. Waits never use up the connections that publish.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from redis.asyncio.client import Pipeline

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import PATIENCE_S, Connection, Script, StreamEntry, entries_of, new_nonce
from agentvoicebox.broker.envelope import (
    StreamId,
    pack_audio,
    pack_job,
    pack_record,
    parse_stream_id,
    unpack_audio,
    unpack_job,
    unpack_record,
)
from agentvoicebox.broker.job_streams import ALL, JobStreams
from agentvoicebox.broker.reclaim import Reclaimer
from agentvoicebox.broker.result_reader import ResultReader
from agentvoicebox.broker.subscriber import Subscriber
from agentvoicebox.broker.utterance_reader import UtteranceReader
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.engine.inputs import JobFailed
from agentvoicebox.errors import BrokerLost, SessionTaken
from agentvoicebox.ports.broker import (
    AppendAudio,
    AppendLog,
    AudioEntry,
    Cancel,
    Claim,
    Dispatch,
    JobKind,
    Record,
    ResultStream,
    SessionRef,
    Submit,
)

_PUBLISHED_COUNT = 4096
_TAKEN = -3  # what the scripts of a session's owner answer when it has another one

_log = structlog.get_logger(__name__)


class _Cancellations:
    """A listener that holds cancelled job ids until somebody asks. Ids are small and few; the queue needs no bound."""

    def __init__(self) -> None:
        self.ids: asyncio.Queue[str] = asyncio.Queue()

    def heard(self, payload: bytes) -> None:
        self.ids.put_nowait(payload.decode())

    def missed(self) -> None:
        """What was cancelled meanwhile, workers find in the fences (`is_cancelled`, `publish`)."""


class RedisBroker:
    """See `ports.broker.Broker`. One instance a process.

    Args:
        url: `redis://…`, `rediss://…` or `unix://…`.
        clock: wall time for `claimed_s` and `published_s`.
        patience_s: how long a call tries on while the store is away.
        reclaim_idle_s: silence after which a worker counts as dead.
        max_attempts: hand-outs of a job before it is dead.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        patience_s: float = PATIENCE_S,
        reclaim_idle_s: float = keys.RECLAIM_IDLE_S,
        max_attempts: int = keys.MAX_ATTEMPTS,
    ) -> None:
        self._connection = Connection(url, patience_s=patience_s)
        self._clock = clock or SystemClock()
        self._max_attempts = max_attempts
        self._subscriber = Subscriber(self._connection, patience_s=patience_s)
        self._jobs = JobStreams(self._connection)
        self._utterances = UtteranceReader(self._connection)
        self._reclaimer = Reclaimer(self._connection, idle_s=reclaim_idle_s)
        self._held: dict[JobKind, dict[bytes, str]] = {kind: {} for kind in JobKind}
        self._publish = Script("publish")
        self._begin = Script("begin")
        self._cancel = Script("cancel")
        self._append = Script("append")
        self._fence = Script("fence")

    @property
    def connection(self) -> Connection:
        """The line to the store, for `sessions`, which shares it."""
        return self._connection

    @property
    def subscriber(self) -> Subscriber:
        """The pub/sub line, for `sessions`, which shares it."""
        return self._subscriber

    # -- for gateways ------------------------------------------------------------------------------------------

    async def dispatch(self, actions: Sequence[Dispatch], *, owner: str = "") -> None:
        """See Broker. Records are taken from anybody: they are idempotent by id, and no part of the session."""
        if not actions:
            return
        nonce = new_nonce()  # the same in every try, so that readers know a repetition

        async def send() -> list[Any]:
            pipe = self._connection.commands.pipeline(transaction=False)
            for index, action in enumerate(actions):
                self._stage(pipe, action, nonce + index.to_bytes(2, "big"), owner)
            answers: list[Any] = await pipe.execute()
            return answers

        if _TAKEN in await self._connection.call(send):
            raise SessionTaken("the session is another gateway's by now")

    def _stage(self, pipe: Pipeline, action: Dispatch, nonce: bytes, owner: str) -> None:
        match action:
            case Submit(job):
                fence = keys.job(job.kind, job.session, job.job_id)
                if job.kind is JobKind.RECORD:
                    pipe.hsetnx(fence, "attempt", "0")
                    pipe.hsetnx(fence, "sequence", "0")
                    pipe.expire(fence, keys.job_ttl_s(job.kind))
                else:
                    touched = (keys.session_hash(job.session), fence, keys.jobs(job.session))
                    pipe.eval(self._fence.text, 3, *touched, owner, keys.job_ttl_s(job.kind), job.job_id)
                pipe.xadd(keys.job_stream(job.kind), {b"j": pack_job(job)})
            case Cancel(job_id, kind, session):
                involved = (keys.job(kind, session, job_id), keys.session_hash(session))
                pipe.eval(self._cancel.text, 2, *involved, keys.cancel_channel(kind), job_id, owner)
            case AppendAudio(session, job_id, entry):
                involved = (keys.session_hash(session), keys.audio_in(session, job_id))
                bounds = (keys.AUDIO_IN_TTL_S, keys.AUDIO_IN_MAX)
                pipe.eval(self._append.text, 2, *involved, owner, *bounds, b"a", pack_audio(entry))
            case AppendLog(session, raw):
                involved = (keys.session_hash(session), keys.log(session))
                bounds = (keys.SESSION_DATA_TTL_S, 0)
                pipe.eval(self._append.text, 2, *involved, owner, *bounds, b"e", raw, b"n", nonce)

    async def results(self, session: SessionRef, *, taken: Mapping[str, int] | None = None) -> ResultStream:
        """See Broker."""
        reader = ResultReader(self._connection, self._subscriber, session)
        if taken is not None:
            reader.start_at(await self._starts(session, taken), taken)
        await reader.open()
        return reader

    async def _starts(self, session: SessionRef, job_ids: Collection[str]) -> dict[str, StreamId]:
        """Where each record stream is to be read from, so that nothing of these jobs is missed."""
        # The ends of the streams are asked for first: the records of a job that has none yet will lie beyond them.
        ends = {}
        for stream in (keys.results(session), keys.audio_out(session)):
            newest: Any = await self._connection.call(
                lambda stream=stream: self._connection.commands.xrevrange(stream, count=1)  # type: ignore[misc]
            )
            ends[stream] = parse_stream_id(newest[0][0]) if newest else (0, 0)
        # The streams' ids are times of one clock, so the first record of any job bounds both.
        firsts = [_before(first) for first in await self._firsts(session, job_ids)]
        return {stream: min([end, *firsts]) for stream, end in ends.items()}

    async def _firsts(self, session: SessionRef, job_ids: Collection[str]) -> list[StreamId]:
        """The first records' entries of those jobs that have one. All kinds but records keep their fences under one name."""

        async def read() -> list[Any]:
            pipe = self._connection.commands.pipeline(transaction=False)
            for job_id in job_ids:
                pipe.hget(keys.job(JobKind.TTS, session, job_id), "first")
            answers: list[Any] = await pipe.execute()
            return answers

        return [parse_stream_id(first) for first in await self._connection.call(read) if first is not None]

    async def audio(self, session: SessionRef, job_ids: Collection[str]) -> list[Record]:
        """See Broker."""
        firsts = await self._firsts(session, job_ids) if job_ids else []
        if not firsts:
            return []
        ms, count = min(firsts)
        entries: Any = await self._connection.call(
            lambda: self._connection.commands.xrange(keys.audio_out(session), min=f"{ms}-{count}", max="+")
        )
        records = [unpack_record(fields[b"r"]) for _, fields in entries_of(entries)]
        return [record for record in records if record.job_id in job_ids]

    async def delivered(self, session: SessionRef, job_id: str) -> list[AudioEntry]:
        """See Broker."""
        entries: Any = await self._connection.call(
            lambda: self._connection.commands.xrevrange(keys.audio_in(session, job_id), count=keys.DELIVERED_COUNT)
        )
        return [unpack_audio(fields[b"a"]) for _, fields in reversed(entries_of(entries))]

    async def attempts(self, session: SessionRef, jobs: Mapping[str, JobKind]) -> dict[str, int]:
        """See Broker."""

        async def read() -> list[Any]:
            pipe = self._connection.commands.pipeline(transaction=False)
            for job_id, kind in jobs.items():
                pipe.hget(keys.job(kind, session, job_id), "attempt")
            answers: list[Any] = await pipe.execute()
            return answers

        answers = await self._connection.call(read)
        return {job_id: int(answer) for job_id, answer in zip(jobs, answers, strict=True) if answer is not None}

    async def forget(self, session: SessionRef) -> None:
        """See Broker. Record jobs are left: they outlive their session."""

        async def delete() -> None:
            redis = self._connection.commands
            known: Any = await redis.smembers(keys.jobs(session))
            job_ids = [raw.decode() for raw in known]
            doomed = [
                keys.jobs(session),
                keys.results(session),
                keys.audio_out(session),
                keys.log(session),
                keys.snapshot(session),
                keys.session_hash(session),
                *(keys.job(JobKind.STT, session, job_id) for job_id in job_ids),
                *(keys.audio_in(session, job_id) for job_id in job_ids),
            ]
            await redis.unlink(*doomed)

        await self._connection.call(delete)

    # -- for workers -------------------------------------------------------------------------------------------

    async def claim(self, kind: JobKind, worker: str, *, slots: int, wait_s: float) -> list[Claim]:
        """See Broker."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while True:
            entries: list[StreamEntry] = []
            if self._reclaimer.is_due(kind):
                held = {entry for entry, holder in self._held[kind].items() if holder == worker}
                entries = await self._connection.call(
                    lambda held=held: self._reclaimer.take(kind, worker, count=slots, held=held)  # type: ignore[misc]
                )
            left_s = until_s - loop.time()
            if not entries:
                block_s = max(0.0, min(left_s, self._reclaimer.longest_wait_s))
                entries = await self._jobs.read_new(kind, worker, count=slots, block_s=block_s)
            claims = [claim for claim in await asyncio.gather(*(self._take(kind, one) for one in entries)) if claim]
            if claims or loop.time() >= until_s:
                for claim in claims:
                    # A worker's own, so that two workers in one process can take over from each other.
                    self._held[kind][claim.entry_id.encode()] = worker
                return claims

    async def _take(self, kind: JobKind, entry: StreamEntry) -> Claim | None:
        entry_id, fields = entry
        try:
            job = unpack_job(fields[b"j"])
        except BrokerLost as error:
            _log.error("a job can't be read", kind=kind, error=error.message)
            await self._jobs.to_dead_letters(kind, {**fields, b"code": "unreadable"})
            await self._jobs.remove(kind, entry_id.decode())
            return None
        must_exist = "0" if kind is JobKind.RECORD else "1"
        verdict, attempt, published = await self._connection.call(
            lambda: self._begin(
                self._connection.commands,
                [keys.job(kind, job.session, job.job_id)],
                [must_exist, self._max_attempts, keys.job_ttl_s(kind)],
            )
        )
        claim = Claim(
            job=job,
            entry_id=entry_id.decode(),
            attempt=attempt,
            published=published,
            claimed_s=self._clock.wall_s(),
        )
        if verdict == b"go":
            return claim
        if verdict == b"spent":
            await self.fail(claim, code="worker_lost", message="each worker that took this job was lost")
        else:
            await self.release(claim)
        return None

    async def publish(self, claim: Claim, body: bytes, *, audio: bytes = b"", is_last: bool = False) -> bool:
        """See Broker."""
        job = claim.job
        stream, bound = keys.record_stream(job.kind, job.session)
        record = Record(
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
            bound,
            keys.SESSION_DATA_TTL_S,
            pack_record(record),
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
            self._let_go(claim)
        return bool(sequence > 0)

    async def published(self, claim: Claim) -> list[Record]:
        """See Broker."""
        job = claim.job
        stream, _ = keys.record_stream(job.kind, job.session)

        async def read() -> list[Record]:
            redis = self._connection.commands
            first: Any = await redis.hget(keys.job(job.kind, job.session, job.job_id), "first")
            if first is None:
                return []
            entries = await redis.xrange(stream, min=first.decode(), max="+", count=_PUBLISHED_COUNT)
            records = [unpack_record(fields[b"r"]) for _, fields in entries_of(entries)]
            return [record for record in records if record.job_id == job.job_id]

        return await self._connection.call(read)

    async def release(self, claim: Claim) -> None:
        """See Broker. The utterance's audio goes with it."""
        if claim.job.kind is JobKind.STT:
            stream = keys.audio_in(claim.job.session, claim.job.job_id)
            await self._connection.call(lambda: self._connection.commands.unlink(stream))
        await self._acknowledge(claim)

    async def hand_back(self, claim: Claim) -> None:
        """See Broker."""
        worker = self._let_go(claim)
        if worker is not None:
            await self._jobs.put_back(claim.job.kind, worker, claim.entry_id)

    async def bury(self, kind: JobKind, worker: str) -> None:
        """See Broker."""
        self._held[kind] = {entry: holder for entry, holder in self._held[kind].items() if holder != worker}
        await self._jobs.put_back(kind, worker, ALL)

    async def fail(self, claim: Claim, *, code: str, message: str) -> None:
        """See Broker."""
        job = claim.job
        fields: dict[Any, Any] = {b"j": pack_job(job), b"code": code, b"attempt": claim.attempt}

        self._let_go(claim)
        if job.kind is JobKind.RECORD:  # no conversation waits for it
            await self._jobs.to_dead_letters(job.kind, fields)
            await self._acknowledge(claim)
            return
        body = msgspec.msgpack.encode(JobFailed(job_id=job.job_id, code=code, message=message))
        if await self.publish(claim, body, is_last=True):
            await self._jobs.to_dead_letters(job.kind, fields)

    async def _acknowledge(self, claim: Claim) -> None:
        self._let_go(claim)
        job = claim.job
        fence = keys.job(job.kind, job.session, job.job_id) if job.kind is JobKind.RECORD else None
        await self._jobs.remove(job.kind, claim.entry_id, fence=fence)

    def _let_go(self, claim: Claim) -> str | None:
        """Not in hand any more, before the store knows: should it be away now, the entry is reclaimed like any other."""
        return self._held[claim.job.kind].pop(claim.entry_id.encode(), None)

    async def keep(self, kind: JobKind, worker: str, claims: Sequence[Claim]) -> None:
        """See Broker."""
        if claims:
            await self._jobs.keep(kind, worker, [claim.entry_id for claim in claims])

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
        """See Broker. A job whose session was forgotten counts as cancelled; a record job belongs to no session."""
        fence = keys.job(claim.job.kind, claim.job.session, claim.job.job_id)
        attempt, cancelled = await self._connection.call(
            lambda: self._connection.commands.hmget(fence, ["attempt", "cancelled"])
        )
        is_forgotten = attempt is None and claim.job.kind is not JobKind.RECORD
        return cancelled is not None or is_forgotten

    async def utterance(self, claim: Claim) -> AsyncIterator[AudioEntry]:
        """See Broker."""
        async for entry in self._utterances.read(keys.audio_in(claim.job.session, claim.job.job_id)):
            yield entry

    async def queue_age_s(self, kind: JobKind) -> float:
        """See Broker."""
        return await self._jobs.oldest_waiting_ms(kind) / 1000

    async def workers(self, kind: JobKind) -> int:
        """See Broker."""
        return await self._jobs.living(kind)

    async def close(self) -> None:
        """See Broker."""
        await self._utterances.close()
        await self._subscriber.close()
        await self._connection.close()


def _before(entry: StreamId) -> StreamId:
    ms, count = entry
    return (ms, count - 1) if count else (ms - 1, 2**63)
