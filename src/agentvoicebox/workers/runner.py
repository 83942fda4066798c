"""Claims jobs of one kind, as many as there are free slots, and sees each to its end.

Knows claiming, heartbeats, cancelling, trying again and draining. What a job means is the `work` function's affair; how
jobs travel is the broker's.

Laws: each claimed job is ended, handed back, or released, once. Work that lost its claim is told at its next publication.
A store that is away for a while stops nothing here: work goes on, and claims begin again when the store is back.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cached_property

import msgspec
import structlog

from agentvoicebox.broker.keys import KEEP_EVERY_S, max_attempts
from agentvoicebox.engine.inputs import WorkerInput
from agentvoicebox.engine.jobs import JobRequest
from agentvoicebox.errors import AgentVoiceBoxError, BrokerLost
from agentvoicebox.ports.broker import AudioEntry, Broker, Claim, JobKind, Record

CLAIM_WAIT_S = 1.0
DRAIN_S = 8.0  # below the ten seconds after which the supervisor kills a worker
CANCEL_GRACE_S = 1.0  # work that ignores its cancellation this long is cancelled as a task
PAUSE_S = 0.2  # between claims while the store is away; the broker has already waited by itself

_log = structlog.get_logger(__name__)
_decoder: msgspec.msgpack.Decoder[JobRequest] = msgspec.msgpack.Decoder(JobRequest)
_encoder = msgspec.msgpack.Encoder()


def worker_name(kind: JobKind, pid: int | None = None) -> str:
    """The consumer name of the worker for `kind` in process `pid` (default: this one) on this machine."""
    return f"{kind}@{socket.gethostname()}:{os.getpid() if pid is None else pid}"


class ClaimLost(Exception):
    """The job is no longer this worker's, or was cancelled. Let it through; the runner cleans up."""


class Task:
    """One job in hand, as a `work` function sees it.

    Attributes:
        claim: the job and its attempt.
        cancelled: set when the job is cancelled or lost; await it, or ask `is_cancelled` from a thread.
        is_cancelled: the same as a plain flag that any thread may read.
    """

    def __init__(self, broker: Broker, claim: Claim) -> None:
        self.claim = claim
        self.cancelled = asyncio.Event()
        self.is_cancelled = False
        self.is_ended = False
        self._broker = broker

    @cached_property
    def request(self) -> JobRequest:
        """What is asked. Raises msgspec.ValidationError for a job without an engine request (record batches)."""
        return _decoder.decode(self.claim.job.payload)

    async def publish(self, result: WorkerInput, *, audio: bytes = b"", is_last: bool = False) -> None:
        """Publish the next record.

        Args:
            result: what became known.
            audio: int16 mono PCM at 24 kHz, with AudioSynthesised.
            is_last: nothing follows; the job is done.

        Raises:
            ClaimLost: the job is no longer ours. BrokerLost: the store is away.
        """
        if self.is_cancelled:
            raise ClaimLost(self.claim.job.job_id)
        if not await self._broker.publish(self.claim, _encoder.encode(result), audio=audio, is_last=is_last):
            self.cancel()
            raise ClaimLost(self.claim.job.job_id)
        self.is_ended = is_last

    async def published(self) -> list[Record]:
        """What earlier attempts published, in order; empty on the first attempt. Raises BrokerLost."""
        return await self._broker.published(self.claim) if self.claim.published else []

    def utterance(self) -> AsyncIterator[AudioEntry]:
        """The caller's audio and marks from the first entry on, as they come; ends after `end`. Raises BrokerLost."""
        return self._broker.utterance(self.claim)

    def cancel(self) -> None:
        """Mark the job as cancelled or lost. Called by the runner, in its event loop."""
        self.is_cancelled = True
        self.cancelled.set()


class Runner:
    """Runs `work` on jobs of one kind.

    Args:
        worker: consumer name, unique among living workers (see `worker_name`).
        slots: jobs at once.
        work: sees one job to its end: publishes its records, the last with `is_last`, or (for a job without records)
            just returns. An AgentVoiceBoxError out of it that is retryable, and any foreign exception, leave the job for
            another attempt; the last attempt and an error that is not retryable end it with a JobFailed record.
        drain_s: how long a stopping runner waits for jobs in hand before it hands them back.
        on_trouble: called when an engine failed a job.
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
        keep_every_s: float = KEEP_EVERY_S,
        on_trouble: Callable[[], None] = lambda: None,
    ) -> None:
        self._broker = broker
        self._kind = kind
        self._worker = worker
        self._slots = slots
        self._work = work
        self._drain_s = drain_s
        self._keep_every_s = keep_every_s
        self._on_trouble = on_trouble
        self._running: dict[asyncio.Task[None], Task] = {}
        self._slot_freed = asyncio.Event()

    @property
    def busy(self) -> int:
        """Jobs in hand."""
        return len(self._running)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain. Returns with no job in hand and nothing pending under this name."""
        await self._surely(self._broker.bury(self._kind, self._worker))  # what a namesake before us left
        helpers = [asyncio.create_task(self._heartbeats()), asyncio.create_task(self._hear_cancellations())]
        try:
            await self._claim_until(stop)
            await self._drain()
        finally:
            for task in [*helpers, *self._running]:
                task.cancel()
            await asyncio.gather(*helpers, *self._running, return_exceptions=True)
        await self._surely(self._broker.bury(self._kind, self._worker))

    async def _claim_until(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                free = self._slots - len(self._running)
                if free <= 0:
                    self._slot_freed.clear()
                    await _first(stopped, asyncio.create_task(self._slot_freed.wait()))
                    continue
                claiming = asyncio.create_task(
                    self._broker.claim(self._kind, self._worker, slots=free, wait_s=CLAIM_WAIT_S)
                )
                if not await _first(stopped, claiming):
                    break  # what was claimed in this instant, `bury` hands on
                try:
                    for claim in claiming.result():
                        self._start(claim)
                except BrokerLost as error:
                    _log.warning("can't claim", kind=self._kind, error=error.message)
                    await _first(stopped, asyncio.create_task(asyncio.sleep(PAUSE_S)))
        finally:
            stopped.cancel()

    def _start(self, claim: Claim) -> None:
        task = Task(self._broker, claim)
        running = asyncio.create_task(self._see_to_its_end(task), name=f"job-{claim.job.job_id}")
        self._running[running] = task
        running.add_done_callback(self._ended)

    def _ended(self, running: asyncio.Task[None]) -> None:
        del self._running[running]
        self._slot_freed.set()
        if not running.cancelled() and (error := running.exception()) is not None:
            _log.error("a job broke its runner", kind=self._kind, error=type(error).__name__)

    async def _see_to_its_end(self, task: Task) -> None:
        claim = task.claim
        log = _log.bind(
            kind=self._kind, job_id=claim.job.job_id, session_id=claim.job.session.session_id, attempt=claim.attempt
        )
        try:
            await self._work_unless_deaf(task)
        except ClaimLost:
            pass  # below
        except AgentVoiceBoxError as error:
            log.warning("job failed", code=error.code, retryable=error.retryable)
            self._on_trouble()
            await self._surely(self._try_again_or_fail(task, error.code or "error", error.message, error.retryable))
            return
        except Exception as error:
            # Words of the caller may stand in the message of a foreign error: the log gets its type and place only.
            log.error("job broke", error=type(error).__name__, place=_place(error))
            self._on_trouble()
            await self._surely(self._try_again_or_fail(task, "internal_error", "the worker failed", True))
            return
        if not task.is_ended and not await self._is_lost(task):
            await self._surely(self._broker.release(claim))

    async def _work_unless_deaf(self, task: Task) -> None:
        """Run the work; when it goes on long after its cancellation, cancel its task."""
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

    async def _try_again_or_fail(self, task: Task, code: str, message: str, retryable: bool) -> None:
        if task.is_ended or await self._is_lost(task):
            return
        if retryable and task.claim.attempt < max_attempts(self._kind):
            await self._broker.hand_back(task.claim)
        else:
            await self._broker.fail(task.claim, code=code, message=message)

    async def _is_lost(self, task: Task) -> bool:
        """Whether another worker has the job now: then its entry is not ours to settle. A cancelled job is ours.

        When nobody can say, it counts as lost, and is given up: whoever reclaims it finds out.
        """
        if not task.is_cancelled:
            return False
        try:
            return not await self._broker.is_cancelled(task.claim)
        except BrokerLost:
            await self._surely(self._broker.hand_back(task.claim))
            return True

    async def _surely(self, action: Awaitable[None]) -> None:
        """Without the store, a job in hand is left to be reclaimed; nothing is lost but time."""
        try:
            await action
        except BrokerLost as error:
            _log.warning("the store is away; left to be reclaimed", kind=self._kind, error=error.message)

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self._keep_every_s)
            tasks = list(self._running.values())
            if not tasks:
                continue
            try:
                await self._broker.keep(self._kind, self._worker, [task.claim for task in tasks])
                # An announcement can be missed around an outage, the fence can't.
                for task in tasks:
                    if not task.is_cancelled and not task.is_ended and await self._broker.is_cancelled(task.claim):
                        task.cancel()
            except BrokerLost as error:
                _log.warning("no heartbeat", kind=self._kind, error=error.message)

    async def _hear_cancellations(self) -> None:
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
            await self._surely(self._broker.hand_back(claim))


async def _first(stopped: "asyncio.Task[bool]", other: "asyncio.Task[object] | asyncio.Task[None]") -> bool:
    """Wait for either; False when it was the stop, and then `other` is cancelled."""
    try:
        await asyncio.wait({stopped, other}, return_when=asyncio.FIRST_COMPLETED)
        if other.done():
            return True
    finally:  # a runner that is cancelled leaves no claim behind, either
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
