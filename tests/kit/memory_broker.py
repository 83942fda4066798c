"""The broker port in one process, for tests: the same invariants as over Valkey, without durability.

Everything lives in dictionaries of one instance, which gateway and workers share.
"""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from agentvoicebox.broker import keys
from agentvoicebox.broker.keys import DELIVERED_COUNT
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.engine.inputs import JobFailed
from agentvoicebox.ports.broker import (
    AppendAudio,
    AppendLog,
    AudioEntry,
    Cancel,
    Claim,
    Dispatch,
    Job,
    JobKind,
    JobResult,
    ResultStream,
    SessionRef,
    Submit,
    Workload,
)


@dataclass
class _Fence:
    attempt: int = 0
    records: list[JobResult] = field(default_factory=list)
    is_cancelled: bool = False
    is_done: bool = False


@dataclass
class _Pending:
    job: Job
    worker: str
    seen_s: float


class _Bell:
    """Wakes all waiters. Check first, then wait: nothing runs in between."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()


class _Utterance:
    def __init__(self) -> None:
        self.entries: list[AudioEntry] = []
        self.grown = _Bell()


class _Reader:
    """See ResultStream. It indexes the session's list of results, so a slow consumer costs nothing."""

    def __init__(self, session: "_Session", taken: Mapping[str, int]) -> None:
        self._session = session
        self._taken = taken
        self._position = 0
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[JobResult]:
        while not self._closed:
            if self._position < len(self._session.records):
                self._position += 1
                record = self._session.records[self._position - 1]
                if record.sequence > self._taken.get(record.job_id, 0):
                    yield record
            else:
                await self._session.grown.wait()

    async def close(self) -> None:
        self._closed = True
        self._session.grown.ring()


class _Session:
    def __init__(self) -> None:
        self.fences: dict[str, _Fence] = {}
        self.records: list[JobResult] = []
        self.grown = _Bell()
        self.utterances: dict[str, _Utterance] = {}
        self.log: list[bytes] = []


class MemoryBroker:
    """See `ports.broker.Broker`.

    Args:
        clock: both times.
        reclaim_idle_s: silence after which a worker counts as dead.
        max_attempts: hand-outs of a job before it is dead; None: what `keys` says of its kind.

    Attributes:
        dead: jobs that failed for good, by kind.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        reclaim_idle_s: float = keys.RECLAIM_IDLE_S,
        max_attempts: int | None = None,
    ) -> None:
        self.dead: dict[JobKind, list[Job]] = {kind: [] for kind in JobKind}
        self._clock = clock or SystemClock()
        self._idle_s = reclaim_idle_s
        self._max_attempts = max_attempts
        self._sessions: dict[SessionRef, _Session] = {}
        self._record_fences: dict[str, _Fence] = {}
        self._waiting: dict[JobKind, deque[Job]] = {kind: deque() for kind in JobKind}
        self._pending: dict[JobKind, dict[str, _Pending]] = {kind: {} for kind in JobKind}
        self._seen_s: dict[JobKind, dict[str, float]] = {kind: {} for kind in JobKind}
        self._work = _Bell()
        self._listeners: dict[JobKind, list[asyncio.Queue[str]]] = {kind: [] for kind in JobKind}
        self._entry_ids = itertools.count(1)

    # -- for gateways ------------------------------------------------------------------------------------------

    async def dispatch(self, actions: Sequence[Dispatch], *, owner: str = "") -> None:
        """See Broker. In one process no session is taken over."""
        for action in actions:
            match action:
                case Submit(job):
                    fences = self._fences(job.kind, job.session)
                    if job.job_id not in fences:
                        fences[job.job_id] = _Fence()
                        self._enqueue(job)
                case Cancel(job_id, kind, session):
                    fence = self._fence(kind, session, job_id)
                    if fence is not None and not fence.is_done:
                        fence.is_cancelled = True
                        for listener in self._listeners[kind]:
                            listener.put_nowait(job_id)
                case AppendAudio(session, job_id, entry):
                    utterance = self._session(session).utterances.setdefault(job_id, _Utterance())
                    utterance.entries.append(entry)
                    utterance.grown.ring()
                case AppendLog(session, raw):
                    self._session(session).log.append(raw)

    async def results(self, session: SessionRef, *, taken: Mapping[str, int] | None = None) -> ResultStream:
        """See Broker."""
        return _Reader(self._session(session), taken or {})

    async def audio(self, session: SessionRef, job_ids: Collection[str]) -> list[JobResult]:
        """See Broker."""
        return [record for record in self._session(session).records if record.job_id in job_ids]

    async def delivered(self, session: SessionRef, job_id: str) -> list[AudioEntry]:
        """See Broker."""
        utterance = self._session(session).utterances.get(job_id)
        return [] if utterance is None else utterance.entries[-DELIVERED_COUNT:]

    async def attempts(self, session: SessionRef, jobs: Mapping[str, JobKind]) -> dict[str, int]:
        """See Broker."""
        fences = {job_id: self._fence(kind, session, job_id) for job_id, kind in jobs.items()}
        return {job_id: fence.attempt for job_id, fence in fences.items() if fence is not None}

    async def forget(self, session: SessionRef) -> None:
        """See Broker. Record jobs are kept: they outlive their session."""
        self._sessions.pop(session, None)

    def log(self, session: SessionRef) -> list[bytes]:
        """The session's log entries, in order."""
        known = self._sessions.get(session)
        return list(known.log) if known else []

    # -- for workers -------------------------------------------------------------------------------------------

    async def claim(
        self, kind: JobKind, worker: str, *, slots: int, wait_s: float, most_bytes: int | None = None
    ) -> list[Claim]:
        """See Broker."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while True:
            self._seen_s[kind][worker] = self._clock.monotonic_s()
            claims = self._claim_all(kind, worker, slots, most_bytes)
            left_s = until_s - loop.time()
            if claims or left_s <= 0:
                return claims
            with contextlib.suppress(TimeoutError):  # then check for dead workers again
                async with asyncio.timeout(min(left_s, self._idle_s / 4)):
                    await self._work.wait()

    def _claim_all(self, kind: JobKind, worker: str, slots: int, most_bytes: int | None) -> list[Claim]:
        now_s = self._clock.monotonic_s()
        orphans = [entry_id for entry_id, one in self._pending[kind].items() if now_s - one.seen_s >= self._idle_s]
        claims: list[Claim] = []
        left = float("inf") if most_bytes is None else most_bytes
        while len(claims) < slots and left > 0 and (orphans or self._waiting[kind]):
            if orphans:
                entry_id = orphans.pop(0)
                job = self._pending[kind][entry_id].job
            else:
                entry_id = str(next(self._entry_ids))
                job = self._waiting[kind].popleft()
            left -= len(job.payload)
            self._pending[kind][entry_id] = _Pending(job, worker, now_s)
            claim = self._begin_attempt(job, entry_id)
            if claim is not None:
                claims.append(claim)
        return claims

    def _begin_attempt(self, job: Job, entry_id: str) -> Claim | None:
        if job.kind is JobKind.RECORD:
            self._record_fences.setdefault(job.job_id, _Fence())
        fence = self._fence(job.kind, job.session, job.job_id)
        if fence is None or fence.is_done or fence.is_cancelled:
            self._finish(job, entry_id)
            return None
        fence.attempt += 1
        claim = Claim(
            job=job,
            entry_id=entry_id,
            attempt=fence.attempt,
            published=len(fence.records),
            claimed_s=self._clock.wall_s(),
        )
        if fence.attempt > (self._max_attempts or keys.max_attempts(job.kind)):
            self._fail(claim, code="worker_lost", message="each worker that took this job was lost")
            return None
        return claim

    async def publish(self, claim: Claim, body: bytes, *, audio: bytes = b"", is_last: bool = False) -> bool:
        """See Broker."""
        return self._publish(claim, body, audio, is_last)

    def _publish(self, claim: Claim, body: bytes, audio: bytes, is_last: bool) -> bool:
        job = claim.job
        fence = self._fence(job.kind, job.session, job.job_id)
        if fence is None or fence.is_done or fence.is_cancelled or fence.attempt != claim.attempt:
            return False
        record = JobResult(
            job_id=job.job_id,
            kind=job.kind,
            sequence=len(fence.records) + 1,
            attempt=claim.attempt,
            body=body,
            audio=audio,
            claimed_s=claim.claimed_s,
            published_s=self._clock.wall_s(),
            is_last=is_last,
        )
        fence.records.append(record)
        session = self._session(job.session)
        session.records.append(record)
        session.grown.ring()
        if is_last:
            fence.is_done = True
            self._finish(job, claim.entry_id)
        return True

    async def published(self, claim: Claim) -> list[JobResult]:
        """See Broker."""
        fence = self._fence(claim.job.kind, claim.job.session, claim.job.job_id)
        return list(fence.records) if fence else []

    async def release(self, claim: Claim) -> None:
        """See Broker. Also deletes the utterance's audio."""
        self._finish(claim.job, claim.entry_id)

    async def hand_back(self, claim: Claim) -> None:
        """See Broker."""
        if self._pending[claim.job.kind].pop(claim.entry_id, None) is not None:
            self._enqueue(claim.job)

    async def release_consumer(self, kind: JobKind, worker: str) -> None:
        """See Broker."""
        self._seen_s[kind].pop(worker, None)
        for entry_id, one in list(self._pending[kind].items()):
            if one.worker == worker:
                del self._pending[kind][entry_id]
                self._enqueue(one.job)

    async def fail(self, claim: Claim, *, code: str, message: str) -> None:
        """See Broker."""
        self._fail(claim, code=code, message=message)

    def _fail(self, claim: Claim, *, code: str, message: str) -> None:
        job = claim.job
        body = msgspec.msgpack.encode(JobFailed(job_id=job.job_id, code=code, message=message))
        if job.kind is JobKind.RECORD:  # no conversation waits for it
            self._finish(job, claim.entry_id)
        elif not self._publish(claim, body, b"", True):
            return
        self.dead[job.kind].append(job)

    async def renew_lease(self, kind: JobKind, worker: str, claims: Sequence[Claim]) -> None:
        """See Broker."""
        self._seen_s[kind][worker] = self._clock.monotonic_s()
        for claim in claims:
            pending = self._pending[kind].get(claim.entry_id)
            if pending is not None and pending.worker == worker:
                pending.seen_s = self._clock.monotonic_s()

    async def cancellations(self, kind: JobKind) -> AsyncIterator[str]:
        """See Broker."""
        ids: asyncio.Queue[str] = asyncio.Queue()
        self._listeners[kind].append(ids)
        try:
            while True:
                yield await ids.get()
        finally:
            self._listeners[kind].remove(ids)

    async def is_cancelled(self, claim: Claim) -> bool:
        """See Broker. A job whose session was deleted counts as cancelled; a record job belongs to no session."""
        fence = self._fence(claim.job.kind, claim.job.session, claim.job.job_id)
        return claim.job.kind is not JobKind.RECORD if fence is None else fence.is_cancelled

    async def utterance(self, claim: Claim) -> AsyncIterator[AudioEntry]:
        """See Broker."""
        utterance = self._session(claim.job.session).utterances.setdefault(claim.job.job_id, _Utterance())
        for position in itertools.count():
            while len(utterance.entries) <= position:
                await utterance.grown.wait()
            yield utterance.entries[position]
            if utterance.entries[position].mark == "end":
                return

    async def queue_age_s(self, kind: JobKind) -> float:
        """See Broker."""
        waiting = self._waiting[kind]
        return max(0.0, self._clock.wall_s() - waiting[0].submitted_s) if waiting else 0.0

    async def workers(self, kind: JobKind) -> int:
        """See Broker."""
        living_s = self._clock.monotonic_s() - keys.ALIVE_FOR_S
        return sum(seen_s >= living_s for seen_s in self._seen_s[kind].values())

    async def workload(self) -> dict[JobKind, Workload]:
        """See Broker."""
        return {
            kind: Workload(len(self._waiting[kind]), len(self._pending[kind]), len(self.dead[kind])) for kind in JobKind
        }

    async def close(self) -> None:
        """See Broker."""

    def _session(self, session: SessionRef) -> _Session:
        return self._sessions.setdefault(session, _Session())

    def _fences(self, kind: JobKind, session: SessionRef) -> dict[str, _Fence]:
        return self._record_fences if kind is JobKind.RECORD else self._session(session).fences

    def _fence(self, kind: JobKind, session: SessionRef, job_id: str) -> _Fence | None:
        if kind is JobKind.RECORD:
            return self._record_fences.get(job_id)
        known = self._sessions.get(session)
        return known.fences.get(job_id) if known else None

    def _enqueue(self, job: Job) -> None:
        self._waiting[job.kind].append(job)
        self._work.ring()

    def _finish(self, job: Job, entry_id: str) -> None:
        """The job is over: no entry, no audio."""
        self._pending[job.kind].pop(entry_id, None)
        if job.kind is JobKind.RECORD:
            self._record_fences.pop(job.job_id, None)
        elif job.session in self._sessions:
            self._sessions[job.session].utterances.pop(job.job_id, None)
