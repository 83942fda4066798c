"""The recorder: what happened in calls goes to PostgreSQL, behind the calls' backs and at its own pace.

Group commit: while one transaction is under way, further batches gather for the next. While PostgreSQL is away, batches in
hand wait here and the rest in the stream; nothing is acknowledged before it is written, and writing twice changes nothing.
"""

import asyncio
import random
from collections.abc import Callable

import msgspec
import structlog

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.errors import AgentVoiceBoxError, StorageLost
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.settings import Settings
from agentvoicebox.storage.conversations import Conversations, TimedBatch
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch
from agentvoicebox.workers.runner import Runner, Task, worker_name

SLOTS = 256  # batches in hand; small ones, and a transaction takes them all
MOST_AT_ONCE = 128  # batches in one transaction
PATIENT = Backoff(first_s=0.1, factor=2.0, longest_s=5.0, tries=1 << 60, spread=0.5)

_log = structlog.get_logger(__name__)
_decoder = msgspec.msgpack.Decoder(RecordBatch)
_Waiting = tuple[TimedBatch, "asyncio.Future[None]"]


class RecorderWork:
    """Sees RECORD jobs to their end; many at a time, on purpose.

    Args:
        conversations: where to write.
        backoff: between tries while PostgreSQL is away.
    """

    def __init__(self, conversations: Conversations, *, backoff: Backoff = PATIENT) -> None:
        self._conversations = conversations
        self._backoff = backoff
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def __call__(self, task: Task) -> None:
        """For Runner: returns once the batch is written; waits as long as PostgreSQL is away.

        Raises:
            StorageRefused: PostgreSQL can't hold this batch. ValueError: it has a record of an unknown kind.
        """
        job = task.claim.job
        batch = _decoder.decode(job.payload)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((TimedBatch(batch, job.submitted_s), written))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        while self._waiting:
            tenant_id = self._waiting[0][0].batch.tenant_id
            group = [each for each in self._waiting if each[0].batch.tenant_id == tenant_id][:MOST_AT_ONCE]
            chosen = {id(each) for each in group}
            self._waiting = [each for each in self._waiting if id(each) not in chosen]
            await self._write(group)

    async def _write(self, group: list[_Waiting]) -> None:
        failures = 0
        while group := [each for each in group if not each[1].done()]:  # a drained job is handed back, not written
            try:
                await self._conversations.write([timed for timed, _ in group])
            except StorageLost as error:
                failures += 1
                _log.warning("records wait for PostgreSQL", batches=len(group), failures=failures, error=error.message)
                await asyncio.sleep(self._backoff.wait_s(failures, random.random()) or 0.0)
                continue
            except (AgentVoiceBoxError, ValueError) as error:
                if len(group) > 1:  # one of them is bad; the others need not suffer for it
                    for each in group:
                        await self._write([each])
                else:
                    group[0][1].set_exception(error)
                return
            for _, written in group:
                if not written.done():
                    written.set_result(None)
            return


async def serve_recorder(settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """The role: ready once the store answers (PostgreSQL may be away, calls don't wait for it), then records until `stop`.

    Raises:
        BrokerLost: the store can't be reached at the start.
    """
    broker = RedisBroker(settings.redis_url)
    postgres = await Postgres.open(settings.postgres_url)
    try:
        await broker.queue_age_s(JobKind.RECORD)
        work = RecorderWork(Conversations(postgres))
        runner = Runner(broker, JobKind.RECORD, worker_name(JobKind.RECORD), slots=SLOTS, work=work)
        announce_ready()
        await runner.run(stop)
    finally:
        await postgres.close()
        await broker.close()
