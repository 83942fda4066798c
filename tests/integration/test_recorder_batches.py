"""Records reach a real PostgreSQL from a real Valkey: once, in order, and none lost while PostgreSQL is away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from tests.kit.client import until
from tests.kit.recorder import recording
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker import keys
from agentvoicebox.broker.envelope import unpack_job
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.effects import Persist
from agentvoicebox.ports.broker import Claim, Job, JobKind, SessionRef, Submit
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.settings import Settings
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.workers.recorder import HELD_BYTES, MOST_BYTES_AT_ONCE, SLOTS, RecorderWork, serve_recorder
from agentvoicebox.workers.runner import Runner

T0 = 1_800_000_000.0
QUICK = Backoff(first_s=0.01, longest_s=0.05, tries=1 << 60)


def submit(number: int, *records: Persist, tenant: str = "acme") -> Submit:
    payload = msgspec.msgpack.encode(RecordBatch(tenant, "sess_1", "0" * 32, records))
    return Submit(Job(f"rec_{number}", JobKind.RECORD, SessionRef(tenant, "sess_1"), payload, T0 + number))


def item(item_id: str) -> Persist:
    return Persist(item_id, "item", {"id": item_id})


async def until_empty(broker: RedisBroker) -> None:
    async def is_empty() -> bool:
        return await broker.connection.commands.xlen("avb:record") == 0

    await until(is_empty)


async def until_claimed(broker: RedisBroker, *, all_of_them: bool) -> None:
    async def is_claimed() -> bool:
        return (await broker.queue_age_s(JobKind.RECORD) == 0.0) is all_of_them

    await until(is_claimed)


async def ids(postgres: Postgres, tenant: str = "acme") -> list[str]:
    page = await History(postgres).items(tenant, "sess_1", order="asc")
    return [] if page is None else [each.item_id for each in page.records]


@pytest.fixture
async def broker(redis_url: str) -> AsyncIterator[RedisBroker]:
    made = RedisBroker(redis_url)
    yield made
    await made.close()


async def test_the_role_records_what_was_submitted_in_order(
    broker: RedisBroker, redis_url: str, postgres_url: str
) -> None:
    await migrate(postgres_url)
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(
        serve_recorder(Settings(redis_url=redis_url, postgres_url=postgres_url), ready.set, stop, ProcessReport())
    )
    names = [f"item_{number:03}" for number in range(100)]
    async with asyncio.timeout(PATIENCE_S):
        await ready.wait()
        await broker.dispatch([submit(number, item(name)) for number, name in enumerate(names)])
        await until_empty(broker)
        stop.set()
        await serving
    postgres = await Postgres.open(postgres_url)
    assert await ids(postgres) == names
    await postgres.close()


async def test_a_bad_batch_goes_to_the_dead_and_takes_no_other_with_it(broker: RedisBroker, postgres_url: str) -> None:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url)
    await broker.dispatch([submit(1, item("a")), submit(2, Persist("x", "gossip", {})), submit(3, item("b"))])
    async with recording(broker, Conversations(postgres), backoff=QUICK):
        await until_empty(broker)
    assert await ids(postgres) == ["a", "b"]
    assert await broker.connection.commands.xlen("avb:dead:record") == 1
    await postgres.close()


class Weighing(Conversations):
    """Notes how much it writes in one transaction."""

    def __init__(self, postgres: Postgres) -> None:
        super().__init__(postgres)
        self.written: list[list[int]] = []

    async def write(self, batches: Sequence[TimedBatch]) -> dict[str, int]:
        self.written.append([len(msgspec.msgpack.encode(each.batch)) for each in batches])
        return await super().write(batches)


class Counting(RedisBroker):
    """Notes how much is claimed and not written yet."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.held: dict[str, int] = {}
        self.most = 0

    async def claim(self, *args: Any, **options: Any) -> list[Claim]:
        claims = await super().claim(*args, **options)
        self.held |= {claim.job.job_id: len(claim.job.payload) for claim in claims}
        self.most = max(self.most, sum(self.held.values()))
        return claims

    async def release(self, claim: Claim) -> None:
        self.held.pop(claim.job.job_id, None)
        await super().release(claim)


@pytest.mark.requirement("A10")
async def test_large_batches_are_held_and_written_a_few_at_a_time(redis_url: str, postgres_url: str) -> None:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url)
    counting, weighing = Counting(redis_url), Weighing(postgres)
    mib = 1024 * 1024
    sizes = [mib // 2] * 12 + [6 * mib] + [1_000] * 40 + [mib] * 30
    await counting.dispatch(
        [submit(number, Persist(f"item_{number:03}", "item", {"t": "x" * size})) for number, size in enumerate(sizes)]
    )
    stop, work = asyncio.Event(), RecorderWork(weighing, counting, backoff=QUICK)
    runner = Runner(counting, JobKind.RECORD, "w1", slots=SLOTS, work=work, held_bytes=HELD_BYTES)
    running = asyncio.create_task(runner.run(stop))
    await until_empty(counting)
    stop.set()
    await running
    await work.close()
    assert len(await ids(postgres)) == len(sizes)
    assert counting.most <= HELD_BYTES + 6 * mib + mib
    assert all(len(group) == 1 or sum(group) <= MOST_BYTES_AT_ONCE + 1_000 * len(group) for group in weighing.written)
    assert any(len(group) > 1 for group in weighing.written)
    await postgres.close()
    await counting.close()


class Mortal(Conversations):
    """Its recorder is gone with all it holds when it comes to a certain batch."""

    def __init__(self, postgres: Postgres) -> None:
        super().__init__(postgres)
        self.died = asyncio.Event()

    async def write(self, batches: Sequence[TimedBatch]) -> dict[str, int]:
        if any(record.record_id == "poison" for each in batches for record in each.batch.records):
            self.died.set()
            await asyncio.Event().wait()
        return await super().write(batches)


async def test_a_batch_that_kills_its_recorders_goes_to_the_dead_when_all_others_are_written(
    broker: RedisBroker, postgres_url: str
) -> None:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url)
    names = [f"item_{number:03}" for number in range(40)]
    await broker.dispatch([submit(number, item(name)) for number, name in enumerate([*names, "poison"])])
    for _ in range(keys.MAX_RECORD_ATTEMPTS):
        conversations = Mortal(postgres)
        work = RecorderWork(conversations, broker)
        runner = Runner(broker, JobKind.RECORD, "w1", slots=64, work=work)
        running = asyncio.create_task(runner.run(asyncio.Event()))
        async with asyncio.timeout(PATIENCE_S):
            await conversations.died.wait()
        running.cancel()
        await asyncio.wait([running])
        await work.close()
    async with recording(broker, Conversations(postgres), backoff=QUICK):
        await until_empty(broker)
    assert await ids(postgres) == names
    dead: Any = await broker.connection.commands.xrange("avb:dead:record")
    assert "rec_40" in {unpack_job(fields[b"j"]).job_id for _, fields in dead}
    await postgres.close()


async def test_tenants_are_recorded_apart(broker: RedisBroker, postgres_url: str) -> None:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url)
    await broker.dispatch([submit(1, item("a")), submit(2, item("u"), tenant="umbra"), submit(3, item("b"))])
    async with recording(broker, Conversations(postgres), backoff=QUICK):
        await until_empty(broker)
    assert await ids(postgres) == ["a", "b"] and await ids(postgres, "umbra") == ["u"]
    await postgres.close()


async def test_nothing_is_lost_while_postgresql_is_away(broker: RedisBroker, own_data_folder: DataFolder) -> None:
    server = EmbeddedPostgres(own_data_folder.path / "postgres", own_data_folder.sockets)
    await server.start()
    await migrate(server.url)
    postgres = await Postgres.open(server.url)
    names = [f"item_{number:03}" for number in range(40)]
    try:
        async with recording(broker, Conversations(postgres), slots=8, backoff=QUICK):
            await broker.dispatch([submit(number, item(name)) for number, name in enumerate(names[:10])])
            await until_empty(broker)
            await server.stop()
            await broker.dispatch([submit(10 + number, item(name)) for number, name in enumerate(names[10:])])
            await until_claimed(broker, all_of_them=False)  # eight are in hand, the others wait in the stream
            assert await broker.connection.commands.xlen("avb:record") == 30
            await server.start()
            await until_empty(broker)
        assert await ids(postgres) == names
        assert await broker.connection.commands.xlen("avb:dead:record") == 0
    finally:
        await postgres.close()
        await server.stop()


async def test_a_recorder_that_stops_while_postgresql_is_away_leaves_its_batches_to_the_next(
    broker: RedisBroker, postgres_url: str
) -> None:
    nowhere = await Postgres.open("postgresql://nobody@127.0.0.1:1/nothing")
    await broker.dispatch([submit(1, item("a"))])
    for _ in range(4):  # more often than a job may be tried
        async with recording(broker, Conversations(nowhere), backoff=QUICK):
            await until_claimed(broker, all_of_them=True)
    await nowhere.close()
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url)
    async with recording(broker, Conversations(postgres), backoff=QUICK):
        await until_empty(broker)
    assert await ids(postgres) == ["a"]
    await postgres.close()
