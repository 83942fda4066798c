"""Items that still wait for PostgreSQL in a real Valkey are part of every page, in their place, as if they were written."""

import asyncio
import random
from typing import Any, Literal

import msgspec
import pytest
from tests.kit.client import until

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.effects import Persist
from agentvoicebox.ports.broker import Job, JobKind, SessionRef, Submit
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch
from agentvoicebox.storage.rules import RetentionRules, RuleBook, TenantRules
from agentvoicebox.storage.tail import Tail
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Runner

pytestmark = pytest.mark.requirement("A10")

T0 = 1_800_000_000.0
Told = list[tuple[str, dict[str, Any]]]


def submit(number: int, *records: Persist, session: str = "sess_1", tenant: str = "acme") -> Submit:
    payload = msgspec.msgpack.encode(RecordBatch(tenant, session, "", records))
    return Submit(Job(f"rec_{number}", JobKind.RECORD, SessionRef(tenant, session), payload, T0 + number))


def item(item_id: str, text: str = "half") -> Persist:
    return Persist(item_id, "item", {"item": {"id": item_id}, "transcript": text})


@pytest.fixture
def history(postgres: Postgres, redis_broker: RedisBroker) -> History:
    return History(postgres, tail=Tail(redis_broker.connection, RuleBook(postgres, RetentionRules())))


async def write_all(broker: RedisBroker, postgres: Postgres) -> None:
    """Have a recorder write everything that waits."""
    stop, work = asyncio.Event(), RecorderWork(Conversations(postgres), broker)
    running = asyncio.create_task(Runner(broker, JobKind.RECORD, "w1", slots=64, work=work, drain_s=0.1).run(stop))

    async def is_empty() -> bool:
        return await broker.connection.commands.xlen("avb:record") == 0

    await until(is_empty)
    stop.set()
    await running
    await work.close()


async def walk(history: History, limit: int, order: Literal["asc", "desc"]) -> Told:
    """Every item, page after page."""
    told: Told = []
    after = None
    while True:
        page = await history.items("acme", "sess_1", limit=limit, order=order, after=after)
        assert page is not None and len(page.records) <= limit
        told += [(each.item_id, each.body) for each in page.records]
        if not page.has_more:
            return told
        after = page.records[-1].item_id


@pytest.mark.parametrize("seed", range(3))
async def test_pages_are_the_same_while_records_wait_and_once_they_are_written(
    history: History, redis_broker: RedisBroker, postgres: Postgres, seed: int
) -> None:
    chance = random.Random(seed)
    names = [f"item_{number:02}" for number in range(14)]
    records = [item(name) for name in names]
    for name in chance.choices(names, k=8):  # words that came later, deletions, and some of both
        last = Persist(name, "item_deleted", {}) if chance.random() < 0.4 else item(name, f"whole {chance.random()}")
        records.insert(chance.randint(0, len(records)), last)
    due = [submit(number, record) for number, record in enumerate(records)]
    written = chance.randint(0, len(due))
    await redis_broker.dispatch(due[:written])
    await write_all(redis_broker, postgres)
    await redis_broker.dispatch([*due[written:], submit(99, item("other"), session="sess_2")])
    limits: list[tuple[int, Literal["asc", "desc"]]] = [(1, "asc"), (3, "desc"), (5, "asc"), (100, "desc")]
    waiting = [await walk(history, limit, order) for limit, order in limits]
    await write_all(redis_broker, postgres)
    assert waiting == [await walk(history, limit, order) for limit, order in limits]
    assert waiting[0] == waiting[3][::-1] == await walk(History(postgres), 100, "asc")


async def test_the_last_items_come_from_both_places(
    history: History, redis_broker: RedisBroker, postgres: Postgres
) -> None:
    await redis_broker.dispatch([submit(number, item(f"item_{number:02}")) for number in range(6)])
    await write_all(redis_broker, postgres)
    await redis_broker.dispatch([submit(number, item(f"item_{number:02}")) for number in range(6, 9)])
    page = await history.items("acme", "sess_1", limit=5)
    assert page is not None and page.has_more
    assert [each.item_id for each in page.records] == [f"item_{number:02}" for number in (8, 7, 6, 5, 4)]


async def test_what_waits_of_another_tenants_session_of_the_same_id_is_not_seen(
    history: History, redis_broker: RedisBroker, postgres: Postgres
) -> None:
    await redis_broker.dispatch([submit(1, item("u"), tenant="umbra")])
    assert await history.items("acme", "sess_1") is None
    await redis_broker.dispatch([submit(2, item("a"))])
    page = await history.items("acme", "sess_1")
    assert page is not None and [each.item_id for each in page.records] == ["a"]


async def test_words_that_will_be_masked_are_shown_masked_while_they_wait(
    redis_broker: RedisBroker, postgres: Postgres
) -> None:
    rules = RuleBook(postgres, RetentionRules())
    await rules.set("acme", TenantRules(words="mask"))
    await redis_broker.dispatch([submit(1, item("a", "Marmalade 7"))])
    page = await History(postgres, tail=Tail(redis_broker.connection, rules)).items("acme", "sess_1")
    assert page is not None and page.records[0].body["transcript"] == "Xxxxxxxxx 0"
