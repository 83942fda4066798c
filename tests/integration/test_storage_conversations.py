"""Conversations are written idempotently in any order, and read in pages."""

import pytest

from agentvoicebox.engine.effects import Persist
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History, StoredItem
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch, TimedBatch

pytestmark = pytest.mark.requirement("A10")

T0 = 1_800_000_000.0


def item(item_id: str, **body: object) -> Persist:
    return Persist(item_id, "item", {"id": item_id, **body})


def batch(*records: Persist, at_s: float = T0, tenant: str = "acme", session: str = "sess_1") -> TimedBatch:
    return TimedBatch(RecordBatch(tenant, session, "", records), at_s)


async def items(postgres: Postgres, session: str = "sess_1") -> list[StoredItem]:
    page = await History(postgres).items("acme", session, order="asc")
    assert page is not None and not page.has_more
    return list(page.records)


async def ids(postgres: Postgres) -> list[str]:
    return [each.item_id for each in await items(postgres)]


async def test_items_come_back_in_the_order_of_the_conversation(postgres: Postgres) -> None:
    conversations = Conversations(postgres)
    await conversations.write([batch(item("c"), at_s=T0 + 1), batch(item("a"), item("b"))])
    assert await ids(postgres) == ["a", "b", "c"]


async def test_writing_again_changes_nothing_and_an_older_record_never_wins(postgres: Postgres) -> None:
    conversations = Conversations(postgres)
    old, new = batch(item("a", text="half")), batch(item("a", text="whole"), at_s=T0 + 1)
    for order in ([old, new], [new, old], [new], [old]):
        await conversations.write(order)
        await conversations.write(order)
    assert [each.body["text"] for each in await items(postgres)] == ["whole"]


async def test_a_deleted_item_stays_deleted_even_when_its_record_comes_later(postgres: Postgres) -> None:
    conversations = Conversations(postgres)
    await conversations.write([batch(Persist("a", "item_deleted", {}), at_s=T0 + 1)])
    await conversations.write([batch(item("a"), item("b"))])
    assert await ids(postgres) == ["b"]


async def test_sessions_and_responses_are_recorded_once(postgres: Postgres) -> None:
    conversations = Conversations(postgres)
    records = (
        Persist("sess_1", "session_opened", {"agent": "delivery"}), Persist("resp_1", "response", {"status": "completed"}),
        Persist("sess_1", "session_closed", {"reason": "client_left"}),
    )  # fmt: skip
    await conversations.write([batch(*records)])
    await conversations.write([batch(*records, at_s=T0 + 5)])
    async with postgres.tenant_transaction("acme") as connection:
        row = await connection.fetchrow("SELECT * FROM sessions")
        assert row is not None and row["opened_at"].timestamp() == T0 and "delivery" in row["opened"]
        assert row["closed_at"].timestamp() == T0 and "client_left" in row["closed"]
        assert await connection.fetchval("SELECT count(*) FROM responses") == 1


async def test_characters_that_jsonb_can_not_hold_do_not_lose_the_item(postgres: Postgres) -> None:
    conversations = Conversations(postgres)
    await conversations.write(
        [
            batch(
                item(
                    "a", text="nul\x00 and \\u0000 and \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")
                )
            )
        ]
    )
    assert (await items(postgres))[0].body["text"] == "nul\ufffd and \\u0000 and \U0001f600"


async def test_one_transaction_is_one_tenants(postgres: Postgres) -> None:
    with pytest.raises(ValueError):
        await Conversations(postgres).write([batch(item("a")), batch(item("b"), tenant="umbra")])
