"""Events are kept for as long as they can be sent again, no longer than the calls that they tell of, and by tenant."""

import msgspec
import pytest
from tests.kit.event_post import KEY, Post, call

from agentvoicebox.clock import ManualClock
from agentvoicebox.events.destinations import Destinations
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.postgres import JANITOR_ROLE, Postgres, StorageRefused
from agentvoicebox.storage.retention import Retention
from agentvoicebox.storage.rules import RetentionRules, RuleBook, TenantRules, Words
from agentvoicebox.storage.vault import Vault

pytestmark = pytest.mark.requirement("A0", "A12.3")

URL = "https://example.com/"
DAY_S = 86_400.0
TABLES = ("event_destinations", "events", "event_deliveries", "event_lanes", "event_batches")


@pytest.fixture
async def post(postgres: Postgres, manual_clock: ManualClock) -> Post:
    """An outbox in which two tenants have a call each, of now."""
    made = Post(postgres, manual_clock)
    await made.catch_up()
    for tenant in ("acme", "umbra"):
        await made.to(URL, tenant=tenant)
        now_s = manual_clock.wall_s()
        await made.record(*(msgspec.structs.replace(each, submitted_s=now_s) for each in call(tenant=tenant)))
    await made.sink.close()
    return made


async def test_events_go_after_their_days_with_what_was_not_delivered_of_them(
    post: Post, records_url: str, manual_clock: ManualClock
) -> None:
    janitors = await Postgres.open(records_url, most_connections=1, role=JANITOR_ROLE)
    await RuleBook(post.postgres, RetentionRules()).set("umbra", TenantRules(days=2))
    retention = Retention(janitors, RetentionRules(), event_days=5, clock=manual_clock, step_rows=2, rest_s=0.0)
    kept = {table: len(await post.rows(table)) for table in TABLES}
    assert kept == {"event_destinations": 1, "events": 5, "event_deliveries": 5, "event_lanes": 1, "event_batches": 1}
    for days, tenants in ((1.9, ("acme", "umbra")), (0.2, ("acme",)), (2.8, ("acme",)), (0.2, ())):
        manual_clock.advance(days * DAY_S)
        await retention.sweep()
        for tenant in ("acme", "umbra"):
            for table in ("events", "event_deliveries", "event_batches"):
                assert len(await post.rows(table, tenant)) == (kept[table] if tenant in tenants else 0), (table, tenant)
    await post.deliver()  # lanes of events that are gone are closed without a word to anyone
    assert await post.rows("event_lanes") == []
    assert len(await post.rows("event_destinations")) == 1
    await janitors.close()


@pytest.mark.parametrize("table", TABLES)
async def test_a_transaction_sees_the_events_of_its_tenant_alone(post: Post, table: str) -> None:
    assert {row["tenant_id"] for row in await post.rows(table)} == {"acme"}
    assert await post.rows(table, "") == []


async def test_who_delivers_for_all_tenants_sees_their_lanes_and_no_word(post: Post) -> None:
    async with post.postgres.tenant_transaction("") as connection:
        await connection.execute("SELECT set_config('agentvoicebox.delivers_events', 'yes', true)")
        seen = {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES}
        assert seen == {**dict.fromkeys(TABLES, 0), "event_lanes": 2}
        assert await connection.execute("UPDATE event_lanes SET lease = 'x'") == "UPDATE 0"
        assert await connection.execute("DELETE FROM event_lanes") == "DELETE 0"


async def test_the_outbox_is_not_changed_by_those_who_write_it(post: Post) -> None:
    for statement in ("UPDATE events SET body = ''", "DELETE FROM events"):
        with pytest.raises(StorageRefused):
            async with post.postgres.tenant_transaction("acme") as connection:
                await connection.execute(statement)


async def test_a_destination_of_another_tenant_can_not_be_reached(post: Post) -> None:
    destinations = Destinations(post.postgres, Vault([KEY]))
    (theirs,) = await destinations.list_all("umbra")
    assert await destinations.get("acme", theirs.destination_id) is None
    for act in (destinations.try_out, destinations.remove, destinations.replay_dead):
        with pytest.raises(Exception, match="no destination"):
            await act("acme", theirs.destination_id)


@pytest.mark.parametrize(("words", "text"), [("keep", "message 1"), ("mask", "xxxxxxx 0"), ("encrypt", None)])
async def test_the_outbox_holds_words_by_the_tenants_rule(
    postgres: Postgres, manual_clock: ManualClock, words: Words, text: str | None
) -> None:
    post = Post(postgres, manual_clock)
    await post.to(URL)
    await RuleBook(postgres, RetentionRules(), can_encrypt=True).set("acme", TenantRules(words=words))
    post.conversations = Conversations(postgres, RuleBook(postgres, RetentionRules()), Vault([KEY]))
    await post.record(*call())
    bodies = [msgspec.json.decode(row["body"]) for row in await post.rows("events")]
    texts = [event["data"]["text"] for event in bodies if event["data"].get("item_id") == "item_1"]
    assert texts == [text]
    if words != "keep":
        assert not any("message 1" in row["body"] for row in await post.rows("events"))
    await post.sink.close()
