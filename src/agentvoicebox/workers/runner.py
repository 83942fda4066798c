"""Claims jobs of one kind, as many as there are free slots, and runs each to its end.

Handles claims, heartbeats, cancellation, retries and draining. The `work` function interprets jobs; the broker
transports them.

Invariants: each claimed job is ended, handed back, or released, once. Work that lost its claim is notified at its next
publication. An outage of the store stops nothing here: work continues, and claims begin again when the store is back.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cached_property

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from agentvoicebox.broker.keys import HEARTBEAT_S, max_attempts
from agentvoicebox.engine.inputs import JobFailed, WorkerInput
from agentvoicebox.engine.jobs import JobRequest
from agentvoicebox.errors import AgentVoiceBoxError, BadProviderAnswer, BrokerLost
from agentvoicebox.ports.broker import (
    MAX_RESULT_AUDIO_BYTES,
    MAX_RESULT_BYTES,
    AudioEntry,
    Broker,
    Claim,
    JobKind,
    JobResult,
)
from agentvoicebox.telemetry.logs import bound
from agentvoicebox.telemetry.process_report import CheckResult
from agentvoicebox.telemetry.trace_ids import trace_id_of
from agentvoicebox.telemetry.worker_metrics import WorkerMetrics

CLAIM_WAIT_S = 1.0
CLAIM_BYTES = 4 * 1024 * 1024  # of one claim, where bytes are counted
DRAIN_S = 8.0  # below the ten seconds after which the supervisor kills a worker
CANCEL_GRACE_S = 1.0  # work that ignores its cancellation this long is cancelled as a task
PAUSE_S = 0.2  # between claims while the store is away; the broker has already retried

_log = structlog.get_logger(__name__)
_decoder: msgspec.msgpack.Decoder[JobRequest] = msgspec.msgpack.Decoder(JobRequest)
_encoder = msgspec.msgpack.Encoder()


def store_check(broker: Broker, kind: JobKind) -> Callable[[], Awaitable[CheckResult]]:
    """Whether the store answers, for `ProcessReport.needs`."""

    async def check() -> CheckResult:
        try:
            await broker.queue_age_s(kind)
        except BrokerLost as error:
            return CheckResult("down", error.message)
        return CheckResult()

    return check


def worker_name(kind: JobKind, pid: int | None = None) -> str:
    """The consumer name of the worker for `kind` in process `pid` (default: this one) on this machine."""
    return f"{kind}@{socket.gethostname()}:{os.getpid() if pid is None else pid}"


class ClaimLost(Exception):
    """The job belongs to another worker, or was cancelled. Do not catch it; the runner cleans up."""


class Task:
    """One claimed job, as a `work` function sees it.

    Attributes:
        claim: the job and its attempt.
        cancelled: set when the job is cancelled or lost; await it, or check `is_cancelled` from a thread.
        is_cancelled: the same as a plain flag that any thread may read.
        outcome: how the job ended here, see `WorkerMetrics.job_over`; until then `retried`, as the job goes on elsewhere.
    """

    def __init__(self, broker: Broker, claim: Claim, *, on_first_result: Callable[[], None] = lambda: None) -> None:
        self.claim = claim
        self.outcome = "retried"
        self._on_first_result = on_first_result
        self._has_published = False
        self.cancelled = asyncio.Event()
        self.is_cancelled = False
        self.is_ended = False
        self._broker = broker

    @cached_property
    def request(self) -> JobRequest:
        """The engine's request. Raises msgspec.ValidationError for a job without one (record batches)."""
        return _decoder.decode(self.claim.job.payload)

    async def publish(self, result: WorkerInput, *, audio: bytes = b"", is_last: bool = False) -> None:
        """Publish the next result.

        Args:
            result: the worker's input to the engine.
            audio: int16 mono PCM at 24 kHz, with Spoken.
            is_last: nothing follows; the job is done.

        Raises:
            ClaimLost: the job is no longer this worker's. BrokerLost: the store is away.
            BadProviderAnswer: the result is too large for the store.
        """
        if self.is_cancelled:
            raise ClaimLost(self.claim.job.job_id)
        body = _encoder.encode(result)
        if len(body) > MAX_RESULT_BYTES or len(audio) > MAX_RESULT_AUDIO_BYTES:
            raise BadProviderAnswer(f"a result of {len(body)} bytes and {len(audio)} of audio is too large")
        if not await self._broker.publish(self.claim, body, audio=audio, is_last=is_last):
            self.cancel()
            raise ClaimLost(self.claim.job.job_id)
        if not self._has_published:
            self._has_published = True
            self._on_first_result()
        self.is_ended = is_last
        if is_last:
            self.outcome = "failed" if isinstance(result, JobFailed) else "done"

    async def published(self) -> list[JobResult]:
        """Results of earlier attempts, in order; empty on the first attempt. Raises BrokerLost."""
        return await self._broker.published(self.claim) if self.claim.published else []

    def utterance(self) -> AsyncIterator[AudioEntry]:
        """The caller's audio and marks from the first entry, as they arrive; ends after `end`. Raises BrokerLost."""
        return self._broker.utterance(self.claim)

    def cancel(self) -> None:
        """Mark the job as cancelled or lost. Called by the runner, in its event loop."""
        self.is_cancelled = True
        if not self.is_ended:
            self.outcome = "cancelled"
        self.cancelled.set()


class Runner:
    """Runs `work` on jobs of one kind.

    Args:
        worker: consumer name, unique among live workers (see `worker_name`).
        slots: number of concurrent jobs.
        work: runs one job to its end: publishes its results, the last with `is_last`, or (for a job without results)
            just returns. A retryable AgentVoiceBoxError, and any foreign exception, leave the job for
            another attempt; the last attempt and an error that is not retryable end it with a JobFailed result.
        drain_s: how long a stopping runner waits for claimed jobs before it hands them back.
        on_failure: called when an engine failed a job.
        held_bytes: what all claimed jobs may have together, and one more job; None: `slots` alone bounds them.
        metrics: of this process; None: they are not exported.
    """

    def __init__(
        self,
        broker: Broker,
        kind: JobKind,
        worker: str,
        *,
        slots: int,
        work: Callable[[Task], Awaitable[None]],
        drain_s: float = DRAIN_S,
        heartbeat_s: float = HEARTBEAT_S,
        on_failure: Callable[[], None] = lambda: None,
        held_bytes: int | None = None,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._broker = broker
        self._kind = kind
        self._worker = worker
        self._slots = slots
        self._work = work
        self._drain_s = drain_s
        self._heartbeat_s = heartbeat_s
        self._on_failure = on_failure
        self._held_bytes = held_bytes
        self._metrics = metrics or WorkerMetrics(CollectorRegistry())
        self._metrics.works_on(kind, slots)
        self._running: dict[asyncio.Task[None], Task] = {}
        self._slot_freed = asyncio.Event()

    @property
    def busy(self) -> int:
        """Number of claimed jobs."""
        return len(self._running)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain. Returns with no job claimed and nothing pending under this name."""
        # entries that an earlier worker of this name left
        await self._unless_store_lost(self._broker.release_consumer(self._kind, self._worker))
        helpers = [asyncio.create_task(self._heartbeats()), asyncio.create_task(self._watch_cancellations())]
        try:
            await self._claim_until(stop)
            await self._drain()
        finally:
            for task in [*helpers, *self._running]:
                task.cancel()
            await asyncio.gather(*helpers, *self._running, return_exceptions=True)
        await self._unless_store_lost(self._broker.release_consumer(self._kind, self._worker))

    async def _claim_until(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                free, free_bytes = self._slots - len(self._running), self._free_bytes()
                if free <= 0 or (free_bytes is not None and free_bytes <= 0):
                    self._slot_freed.clear()
                    await _first(stopped, asyncio.create_task(self._slot_freed.wait()))
                    continue
                claiming = asyncio.create_task(
                    self._broker.claim(self._kind, self._worker, slots=free, wait_s=CLAIM_WAIT_S, most_bytes=free_bytes)
                )
                if not await _first(stopped, claiming):
                    break  # `release_consumer` requeues a job that was claimed at this moment
                try:
                    for claim in claiming.result():
                        self._start(claim)
                except BrokerLost as error:
                    _log.warning("can't claim", kind=self._kind, error=error.message)
                    await _first(stopped, asyncio.create_task(asyncio.sleep(PAUSE_S)))
        finally:
            stopped.cancel()

    def _free_bytes(self) -> int | None:
        if self._held_bytes is None:
            return None
        held = sum(len(task.claim.job.payload) for task in self._running.values())
        return min(CLAIM_BYTES, self._held_bytes - held)

    def _start(self, claim: Claim) -> None:
        began_s = time.perf_counter()  # uvloop's own time counts milliseconds
        task = Task(
            self._broker,
            claim,
            on_first_result=lambda: self._metrics.first_result(self._kind, time.perf_counter() - began_s),
        )
        self._metrics.job_begun(self._kind, claim.attempt)
        job = claim.job
        with bound(  # for all lines of the task
            tenant_id=job.session.tenant_id,
            session_id=job.session.session_id,
            correlation_id=job.correlation_id or None,
            trace_id=trace_id_of(job.session.session_id),
        ):
            running = asyncio.create_task(self._run_job(task), name=f"job-{job.job_id}")
            running.add_done_callback(lambda ended: self._ended(ended, time.perf_counter() - began_s))
        self._running[running] = task

    def _ended(self, running: asyncio.Task[None], seconds: float) -> None:
        task = self._running.pop(running)
        job = task.claim.job
        self._slot_freed.set()
        self._metrics.job_over(self._kind, task.outcome, seconds, job.session.session_id)
        if not running.cancelled() and (error := running.exception()) is not None:
            _log.error("a job broke its runner", kind=self._kind, job_id=job.job_id, exc_info=error)

    async def _run_job(self, task: Task) -> None:
        claim = task.claim
        log = _log.bind(kind=self._kind, job_id=claim.job.job_id, attempt=claim.attempt)
        try:
            await self._work_or_cancel(task)
        except ClaimLost:
            pass  # below
        except AgentVoiceBoxError as error:
            log.warning("job failed", code=error.code, reason=error.message, retryable=error.retryable)
            self._on_failure()
            await self._unless_store_lost(
                self._retry_or_fail(task, error.code or "error", error.message, error.retryable)
            )
            return
        except Exception as error:
            # The message of a foreign error may contain the caller's words: log only its type and origin.
            log.error("job broke", error=type(error).__name__, place=_place(error))
            self._on_failure()
            await self._unless_store_lost(self._retry_or_fail(task, "internal_error", "the worker failed", True))
            return
        if not task.is_ended and not await self._is_lost(task):
            task.outcome = "cancelled" if task.is_cancelled else "done"
            await self._unless_store_lost(self._broker.release(claim))

    async def _work_or_cancel(self, task: Task) -> None:
        """Run the work; if it continues long after its cancellation, cancel its task."""
        working = asyncio.ensure_future(self._work(task))
        hearing = asyncio.create_task(task.cancelled.wait())
        try:
            await asyncio.wait({working, hearing}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await asyncio.wait({working}, timeout=CANCEL_GRACE_S)
            if not working.done():
                working.cancel()
                await asyncio.wait({working})
            if working.cancelled():
                raise ClaimLost(task.claim.job.job_id)
            working.result()
        finally:
            for each in (working, hearing):
                each.cancel()
            await asyncio.gather(working, hearing, return_exceptions=True)

    async def _retry_or_fail(self, task: Task, code: str, message: str, retryable: bool) -> None:
        if task.is_ended or await self._is_lost(task):
            return
        if retryable and task.claim.attempt < max_attempts(self._kind):
            await self._broker.hand_back(task.claim)
        else:
            task.outcome = "failed"
            await self._broker.fail(task.claim, code=code, message=message)

    async def _is_lost(self, task: Task) -> bool:
        """Whether another worker holds the job now: then its entry is not touched. A cancelled job is still ours.

        If the store can't tell, the job counts as lost and is left to be reclaimed.
        """
        if not task.is_cancelled:
            return False
        try:
            return not await self._broker.is_cancelled(task.claim)
        except BrokerLost:
            await self._unless_store_lost(self._broker.hand_back(task.claim))
            return True

    async def _unless_store_lost(self, action: Awaitable[None]) -> None:
        """Run a store action; without the store, leave the job to be reclaimed: only time is lost."""
        try:
            await action
        except BrokerLost as error:
            _log.warning("the store is away; left to be reclaimed", kind=self._kind, error=error.message)

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            tasks = list(self._running.values())
            if not tasks:
                continue
            try:
                await self._broker.renew_lease(self._kind, self._worker, [task.claim for task in tasks])
                # An announcement can be missed around an outage, the fence can't.
                for task in tasks:
                    if not task.is_cancelled and not task.is_ended and await self._broker.is_cancelled(task.claim):
                        task.cancel()
            except BrokerLost as error:
                _log.warning("no heartbeat", kind=self._kind, error=error.message)

    async def _watch_cancellations(self) -> None:
        while True:
            try:
                async with contextlib.aclosing(self._broker.cancellations(self._kind)) as ids:  # type: ignore[type-var]
                    async for job_id in ids:
                        for task in self._running.values():
                            if task.claim.job.job_id == job_id:
                                task.cancel()
            except BrokerLost:
                await asyncio.sleep(PAUSE_S)

    async def _drain(self) -> None:
        if not self._running:
            return
        _log.info("draining", kind=self._kind, jobs=len(self._running))
        _, late = await asyncio.wait(self._running, timeout=self._drain_s)
        claims = [self._running[running].claim for running in late if running in self._running]
        for running in late:
            running.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for claim in claims:
            await self._unless_store_lost(self._broker.hand_back(claim))


async def _first(stopped: "asyncio.Task[bool]", other: "asyncio.Task[object] | asyncio.Task[None]") -> bool:
    """Wait for either; False when `stopped` was first, and then `other` is cancelled."""
    try:
        await asyncio.wait({stopped, other}, return_when=asyncio.FIRST_COMPLETED)
        if other.done():
            return True
    finally:  # a cancelled runner leaves no claim behind, either
        if not other.done():
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)
    return False


def _place(error: BaseException) -> str:
    """File and line where a foreign exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
