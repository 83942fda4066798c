"""The recorder: writes what happened in calls to PostgreSQL, independently of the calls.

Group commit: during one transaction, further batches gather for the next. While PostgreSQL is away, claimed batches
wait here and the rest in the stream; nothing is acknowledged before it is written, and writing twice changes nothing.
A batch whose recorder died while PostgreSQL was away is submitted again, so that waiting never counts as failing. One that
outlived several recorders may have killed them: it is written alone and in no fixed order, so that about half of the other
batches are written before it is tried again.
"""

import asyncio
import itertools
import random
import time
import uuid
from collections.abc import Callable

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from agentvoicebox.broker.keys import MAX_ATTEMPTS
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.errors import UNREADABLE, DamagedRecord, StorageLost
from agentvoicebox.kits.registry import kits_of
from agentvoicebox.ports.broker import Broker, Job, JobKind, Submit
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.settings import Settings
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.rules import RuleBook, default_rules
from agentvoicebox.storage.vault import Vault
from agentvoicebox.telemetry.logs import unbound
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.telemetry.recorder_metrics import RecorderMetrics
from agentvoicebox.workers.health import WorkerHealth, backend_check, single_engine_check
from agentvoicebox.workers.runner import Runner, Task, store_check, worker_name

SLOTS = 256  # claimed batches; most are small, and one transaction writes them all
HELD_BYTES = 16 * 1024 * 1024  # of all claimed batches: the rest waits in the stream
MOST_AT_ONCE = 128  # batches in one transaction
MOST_BYTES_AT_ONCE = 4 * 1024 * 1024  # in one transaction; a larger batch is alone in its own
PATIENT = Backoff(first_s=0.1, factor=2.0, longest_s=5.0, tries=1 << 60, spread=0.5)

_log = structlog.get_logger(__name__)
_decoder = msgspec.msgpack.Decoder(RecordBatch)


class _PendingBatch(msgspec.Struct, frozen=True, eq=False):
    """A claimed batch. `written` is True once it is in PostgreSQL, False when it should be submitted again."""

    timed: TimedBatch
    written: "asyncio.Future[bool]"
    attempt: int
    payload_bytes: int

    @property
    def is_retried(self) -> bool:
        return self.attempt > 1

    @property
    def is_suspect(self) -> bool:
        return self.attempt > MAX_ATTEMPTS


class RecorderWork:
    """Runs RECORD jobs to their end; many at a time, on purpose.

    Args:
        conversations: writes the batches.
        broker: receives batches that are submitted again.
        backoff: between tries while PostgreSQL is away.
        on_failure: called when PostgreSQL is found away.
        metrics: of this process; None: they are not exported.
    """

    def __init__(
        self,
        conversations: Conversations,
        broker: Broker,
        *,
        backoff: Backoff = PATIENT,
        on_failure: Callable[[], None] = lambda: None,
        metrics: RecorderMetrics | None = None,
    ) -> None:
        self._conversations = conversations
        self._broker = broker
        self._backoff = backoff
        self._on_failure = on_failure
        self._metrics = metrics or RecorderMetrics(CollectorRegistry())
        self._metrics.watch_waiting(lambda: len(self._unwritten))
        self._unwritten: set[asyncio.Future[bool]] = set()
        self._waiting: list[_PendingBatch] = []
        self._writing: asyncio.Task[None] | None = None

    async def __call__(self, task: Task) -> None:
        """For Runner: returns once the batch is written; waits as long as PostgreSQL is away.

        Raises:
            StorageRefused: PostgreSQL can't hold this batch. DamagedRecord: it can't be read. Any other: its records are damaged.
        """
        job = task.claim.job
        try:
            batch = _decoder.decode(job.payload)
        except UNREADABLE as error:
            self._metrics.refused()
            raise DamagedRecord("a batch of records can't be read") from error
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._unwritten.add(written)
        written.add_done_callback(self._unwritten.discard)
        timed = TimedBatch(batch, job.submitted_s)
        self._waiting.append(_PendingBatch(timed, written, task.claim.attempt, len(job.payload)))
        if self._writing is None or self._writing.done():
            with unbound():  # it writes batches of many sessions
                self._writing = asyncio.create_task(self._write_all())
        if not await written:
            await self._broker.dispatch([Submit(_renewed(job))])

    async def close(self) -> None:
        """Stop writing; the runner hands remaining batches back. Idempotent."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write_all(self) -> None:
        while self._waiting:
            group = self._next_group()
            taken = set(map(id, group))
            self._waiting = [each for each in self._waiting if id(each) not in taken]
            await self._write(group)

    def _next_group(self) -> list[_PendingBatch]:
        """Batches of one tenant for one transaction; a suspect batch is alone in its transaction."""
        chosen = random.choice(self._waiting)
        if chosen.is_suspect:
            return [chosen]
        tenant_id = chosen.timed.batch.tenant_id
        others = (each for each in self._waiting if each.timed.batch.tenant_id == tenant_id and not each.is_suspect)
        group: list[_PendingBatch] = []
        group_bytes = 0
        for each in itertools.islice(others, MOST_AT_ONCE):
            group_bytes += each.payload_bytes
            if group and group_bytes > MOST_BYTES_AT_ONCE:
                break
            group.append(each)
        return group

    async def _write(self, group: list[_PendingBatch]) -> None:
        failures = 0
        while group := [each for each in group if not each.written.done()]:  # a drained job is handed back, not written
            began_s = time.perf_counter()
            try:
                rows = await self._conversations.write([each.timed for each in group])
            except StorageLost as error:
                failures += 1
                self._on_failure()
                _log.warning("records wait for PostgreSQL", batches=len(group), failures=failures, error=error.message)
                for each in group:
                    if each.is_retried:
                        each.written.set_result(False)
                await asyncio.sleep(self._backoff.wait_s(failures, random.random()) or 0.0)
                continue
            except Exception as error:
                if len(group) > 1:  # one of them is invalid, in whatever way; write each alone
                    for each in group:
                        await self._write([each])
                else:
                    self._metrics.refused()
                    group[0].written.set_exception(error)
                return
            self._metrics.written(rows, time.perf_counter() - began_s)
            for each in group:
                if not each.written.done():
                    each.written.set_result(True)
            return


def _renewed(job: Job) -> Job:
    """The same batch as a new job, with its attempts reset; the submission time stays, since it orders records."""
    return msgspec.structs.replace(job, job_id=f"{job.job_id.partition('~')[0]}~{uuid.uuid4().hex}")


async def serve_recorder(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """The role: ready once the store answers (PostgreSQL may be away, calls don't wait for it), then records until `stop`.

    Raises:
        BrokerLost: the store can't be reached at the start.
    """
    metrics = RecorderMetrics(report.registry)
    broker = RedisBroker(settings.redis_url, on_dead_letter=report.workers.dead_letter)
    postgres = await Postgres.open(settings.postgres_url)
    rules = RuleBook(postgres, default_rules(settings))
    conversations = Conversations(postgres, rules, Vault(settings.history_key_list), kits_of(settings).identifier_mask)
    name = worker_name(JobKind.RECORD)
    health = WorkerHealth(
        StoreHealthMonitor(broker.connection), JobKind.RECORD, name, single_engine_check(postgres.check)
    )
    work = RecorderWork(conversations, broker, on_failure=health.suspect, metrics=metrics)
    try:
        await broker.queue_age_s(JobKind.RECORD)
        runner = Runner(
            broker, JobKind.RECORD, name, slots=SLOTS, work=work, held_bytes=HELD_BYTES, metrics=report.workers
        )
        report.needs("store", store_check(broker, JobKind.RECORD))
        report.needs("PostgreSQL", backend_check(postgres.check))
        announce_ready()
        async with health.watching():
            await runner.run(stop)
    finally:
        await work.close()
        await postgres.close()
        await broker.close()
