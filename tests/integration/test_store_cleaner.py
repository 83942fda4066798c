"""What was deleted from the store leaves its disk within a bounded time, and the store is not asked more often than needed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from redis.asyncio import Redis
from tests.kit.client import until
from tests.kit.store import ValkeyNode

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, entries_of
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_cleaner import StoreCleaner
from agentvoicebox.clock import ManualClock
from agentvoicebox.ports.broker import AppendLog, Job, JobKind, SessionRef, Submit
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.tools.ledger import RedisLedger

pytestmark = pytest.mark.requirement("A12.4")

EVERY_S = 1_800.0
WORDS = b"Featherstonehaugh"
CALL, OTHER_CALL = SessionRef("acme", "sess_1"), SessionRef("acme", "sess_2")


@pytest.fixture
async def valkey(own_data_folder: DataFolder) -> AsyncIterator[EmbeddedValkey]:
    server = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def broker(valkey: EmbeddedValkey) -> AsyncIterator[RedisBroker]:
    made = RedisBroker(valkey.url)
    yield made
    await made.close()


@pytest.fixture
def cleaner(broker: RedisBroker, manual_clock: ManualClock) -> StoreCleaner:
    return StoreCleaner(broker.connection, every_s=EVERY_S, clock=manual_clock)


def on_disk(folder: DataFolder) -> bool:
    return any(WORDS in path.read_bytes() for path in (folder.path / "valkey").rglob("*") if path.is_file())


async def speak(broker: RedisBroker, session: SessionRef) -> None:
    """A call that leaves words in its log, in a job and in a record."""
    jobs = [Job(f"{kind}_{session.session_id}", kind, session, WORDS, 0.0) for kind in (JobKind.LLM, JobKind.RECORD)]
    await broker.dispatch([AppendLog(session, WORDS), *(Submit(job) for job in jobs)])
    await RedisLedger(broker.connection).finish(session, "call", WORDS.decode())


async def end(broker: RedisBroker, session: SessionRef) -> None:
    """The end of a call: its keys are deleted, and its record is written."""
    for kind in (JobKind.LLM, JobKind.RECORD):
        for claim in await broker.claim(kind, "worker", slots=8, wait_s=0.01):
            if claim.job.session == session:
                await broker.release(claim)
            else:
                await broker.hand_back(claim)
    await broker.forget(session)


async def until_rewritten(valkey: EmbeddedValkey) -> None:
    async with Redis.from_url(valkey.url) as redis:

        async def is_done() -> bool:
            info = await redis.info("persistence")
            return not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]

        await until(is_done)


async def forget_at_once(valkey: EmbeddedValkey) -> None:
    """Pass over the two minutes in which side effects of an ended call are kept."""
    async with Redis.from_url(valkey.url) as redis:
        async for key in redis.scan_iter("avb:effects:*"):
            assert 0 < await redis.ttl(key) <= keys.EFFECTS_AFTER_END_S
            await redis.delete(key)


async def test_words_of_an_ended_call_leave_the_disk_though_another_call_goes_on(
    own_data_folder: DataFolder, valkey: EmbeddedValkey, broker: RedisBroker, cleaner: StoreCleaner
) -> None:
    await speak(broker, CALL)
    await broker.dispatch([Submit(Job("job_of_another", JobKind.RECORD, OTHER_CALL, b"other words", 0.0))])
    await end(broker, CALL)
    await forget_at_once(valkey)
    assert on_disk(own_data_folder)
    assert await cleaner.clean()
    await until_rewritten(valkey)
    assert not on_disk(own_data_folder)
    async with Redis.from_url(valkey.url) as redis:
        assert await redis.xlen("avb:record") == 1


async def test_a_store_is_asked_no_more_often_than_the_setting_says_and_only_after_a_deletion(
    valkey: EmbeddedValkey, broker: RedisBroker, cleaner: StoreCleaner, manual_clock: ManualClock
) -> None:
    assert await cleaner.clean()  # nobody knows what an earlier janitor left
    await until_rewritten(valkey)
    manual_clock.advance(EVERY_S)
    await speak(broker, CALL)
    assert not await cleaner.clean()  # nothing was deleted
    await end(broker, CALL)
    assert await cleaner.clean()
    await until_rewritten(valkey)
    await speak(broker, OTHER_CALL)
    await end(broker, OTHER_CALL)
    manual_clock.advance(EVERY_S - 1)
    assert not await cleaner.clean()
    another_janitor = StoreCleaner(broker.connection, every_s=EVERY_S, clock=manual_clock)
    assert not await another_janitor.clean()
    manual_clock.advance(1)
    assert await cleaner.clean()


async def test_letters_of_the_dead_end_after_a_day_though_others_come(
    broker: RedisBroker, cleaner: StoreCleaner, manual_clock: ManualClock
) -> None:
    commands = broker.connection.commands
    old_ms = int((manual_clock.wall_s() - keys.DEAD_TTL_S) * 1000) - 1
    for entry in (f"{old_ms}-0", f"{old_ms + 2}-0"):
        await commands.xadd(keys.dead_stream(JobKind.LLM), {"j": WORDS}, id=entry)
    await cleaner.clean()
    left = entries_of(await commands.xrange(keys.dead_stream(JobKind.LLM)))
    assert [entry for entry, _ in left] == [f"{old_ms + 2}-0".encode()]


async def test_a_store_without_a_file_is_left_alone_and_one_that_refuses_is_named_once(
    tmp_path: Path, manual_clock: ManualClock
) -> None:
    for has_file, events in (
        ("no", []),
        ("yes", ["the store refuses to rewrite its append-only file: it keeps words of ended calls"]),
    ):
        node = ValkeyNode(tmp_path / has_file, "--rename-command", "BGREWRITEAOF", "", "--appendonly", has_file)
        await node.start()
        connection = Connection(node.url)
        cleaner = StoreCleaner(connection, every_s=EVERY_S, clock=manual_clock)
        try:
            with structlog.testing.capture_logs() as lines:
                for _ in range(3):
                    assert not await cleaner.clean()
                    manual_clock.advance(EVERY_S)
            assert [line["event"] for line in lines] == events
        finally:
            await connection.close()
            await node.kill()


async def test_every_node_of_a_cluster_rewrites_its_file(cluster_url: str, manual_clock: ManualClock) -> None:
    connection = Connection(cluster_url)

    async def rewrites() -> list[int]:
        nodes = await connection.call(lambda: connection.store.on_each_node("INFO", "persistence"))
        return [info["aof_rewrites"] for info in nodes]

    async def have_all_begun() -> bool:
        return all(now > then for now, then in zip(await rewrites(), before, strict=True))

    try:
        before = await rewrites()
        assert await StoreCleaner(connection, every_s=EVERY_S, clock=manual_clock).clean()
        await until(have_all_begun)
    finally:
        await connection.close()
