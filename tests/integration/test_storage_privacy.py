"""What a tenant's rule for words leaves of a call in a real PostgreSQL: everything, its shape, or nothing that reads."""

import asyncio
import os
from datetime import date
from typing import Any

import msgspec
import pytest
from tests.kit.kits import DELIVERY
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.effects import Persist
from agentvoicebox.errors import ClientError
from agentvoicebox.ports.broker import Job, JobKind, SessionRef, Submit
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.rules import FRESH_S, RetentionRules, RuleBook, TenantRules, Words
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.storage.vault import HistorySealed, Vault
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Runner

T0, DAY = 1_800_000_000.0, date(2027, 1, 15)
SECRETS = ("Marmalade", "AB123456", "+491701234567", "zanzibar", "9876")
KEY = os.urandom(32)
TABLES = (
    "sessions",
    "conversation_items",
    "responses",
    "turns",
    "call_audio",
    "usage_entries",
    "audit_logs",
    "tenants",
)


def item(item_id: str, **fields: Any) -> Persist:
    transcript = fields.get("content", [{}])[0].get("transcript")
    body = {"item": {"id": item_id, **fields}, "response_id": None, "transcript": transcript, "is_hidden": False}
    return Persist(item_id, "item", body)


def call() -> tuple[Persist, ...]:
    """A call that is full of what nobody may read: in words, transcripts, arguments, results, metadata, and by name."""
    said = "Marmalade here, my number is AB123456."
    message = {"type": "message", "status": "completed"}
    heard: dict[str, Any] = {**message, "role": "user", "content": [{"type": "input_audio", "transcript": said}]}
    typed: dict[str, Any] = {**message, "role": "user", "content": [{"type": "input_text", "text": "zanzibar 9876"}]}
    spoken: dict[str, Any] = {**message, "role": "assistant", "content": [{"type": "output_audio", "transcript": said}]}
    asked = {"type": "function_call", "name": "look_up", "call_id": "c1", "arguments": '{"tracking_id":"ZZ99AB123456"}'}
    answered = {"type": "function_call_output", "call_id": "c1", "output": '{"code":"FOUND","who":"Marmalade Sky"}'}
    usage = {"input_tokens": 12, "output_tokens": 34, "output_token_details": {"audio_tokens": 20}}
    done: dict[str, object] = {
        "id": "resp_1",
        "output": [{"id": "i5", **spoken}],
        "metadata": {"who": "Marmalade"},
        "usage": usage,
    }
    return (
        Persist("s", "session_opened", {"agent": "delivery", "opened_s": T0, "caller": "+491701234567"}),
        item("i1", **heard),
        item("i2", **typed),
        item("i3", **asked),
        item("i4", **answered),
        item("i5", **spoken),
        Persist("resp_1", "response", done),
        Persist("s", "session_closed", {"code": 1000, "reason": "client_left"}),
    )


def batch(tenant: str = "acme") -> TimedBatch:
    return TimedBatch(RecordBatch(tenant, "sess_1", "", call(), 5_000), T0)


async def everything(postgres: Postgres, tenant: str = "acme") -> str:
    """Every row of the tenant in every table, as text."""
    async with postgres.tenant_transaction(tenant) as connection:
        rows = [await connection.fetch(f"SELECT kept::text FROM {table} AS kept") for table in TABLES]
    return "\n".join(row[0] for found in rows for row in found)


@pytest.mark.parametrize(("words", "found"), [("keep", True), ("mask", False), ("encrypt", False)])
async def test_no_word_number_or_name_of_a_call_is_stored_unless_the_tenant_keeps_them(
    postgres: Postgres, words: Words, found: bool
) -> None:
    rules = RuleBook(postgres, RetentionRules(), can_encrypt=True)
    await rules.set("acme", TenantRules(words=words))
    await Conversations(postgres, rules, Vault([KEY])).write([batch(), batch()])
    stored = await everything(postgres)
    assert "sess_1" in stored
    for secret in SECRETS:
        assert (secret in stored) is found, secret
    (day,) = await UsageReader(postgres).by_day("acme", DAY, DAY)
    assert (day.input_tokens, day.output_tokens, day.audio_in_s, day.audio_out_s) == (12, 34, 5.0, 1.0)


async def test_masked_records_keep_their_shape_and_the_facts_of_tools(postgres: Postgres) -> None:
    await Conversations(
        postgres, RuleBook(postgres, RetentionRules(words="mask")), mask=DELIVERY.identifier_mask
    ).write([batch()])
    page = await History(postgres).items("acme", "sess_1", order="asc")
    assert page is not None
    heard, _, asked, answered, _ = (each.body["item"] for each in page.records)
    assert heard["content"][0]["transcript"] == "Xxxxxxxxx xxxx, xx xxxxxx xx XX000000."
    assert (asked["name"], asked["arguments"]) == ("look_up", '{"tracking_id":"********3456"}')
    assert msgspec.json.decode(answered["output"])["code"] == "FOUND"
    session = await History(postgres).session("acme", "sess_1")
    assert session is not None and session.opened == {"agent": "delivery", "opened_s": T0, "caller": "********4567"}


async def test_the_owner_reads_encrypted_records_as_they_were_and_nobody_without_the_key(postgres: Postgres) -> None:
    rules = RuleBook(postgres, RetentionRules(words="encrypt"))
    await Conversations(postgres, rules, Vault([KEY])).write([batch()])
    history = History(postgres, Vault([os.urandom(32), KEY]))  # a new key was put in front since
    page = await history.items("acme", "sess_1", order="asc")
    assert page is not None
    assert [each.body for each in page.records] == [each.body for each in call() if each.kind == "item"]
    session = await history.session("acme", "sess_1")
    assert session is not None and session.opened["caller"] == "+491701234567" and session.closed["code"] == 1000
    for blind in (Vault(), Vault([os.urandom(32)])):
        with pytest.raises(HistorySealed):
            await History(postgres, blind).items("acme", "sess_1")


async def test_each_tenant_has_its_own_rule_and_a_change_acts_within_half_a_minute(
    postgres: Postgres, manual_clock: ManualClock
) -> None:
    rules = RuleBook(postgres, RetentionRules(), clock=manual_clock)
    write = Conversations(postgres, rules).write
    await write([batch("umbra")])
    await write([batch()])
    await RuleBook(postgres, RetentionRules()).set("acme", TenantRules(words="mask"))  # in another process
    manual_clock.advance(FRESH_S)
    assert "zanzibar" in await everything(postgres)  # what was stored before stays
    await write([batch()])
    assert "zanzibar" not in await everything(postgres)
    assert "zanzibar" in await everything(postgres, "umbra")


async def test_without_a_key_the_rule_to_encrypt_is_refused_and_a_record_under_it_is_not_stored_in_the_clear(
    postgres: Postgres, redis_url: str
) -> None:
    with pytest.raises(ClientError, match="AVB_HISTORY_KEYS"):
        await RuleBook(postgres, RetentionRules()).set("acme", TenantRules(words="encrypt"))
    await RuleBook(postgres, RetentionRules(), can_encrypt=True).set(
        "acme", TenantRules(words="encrypt")
    )  # where there was a key
    broker, stop = RedisBroker(redis_url), asyncio.Event()
    work = RecorderWork(Conversations(postgres, RuleBook(postgres, RetentionRules()), Vault()), broker)
    running = asyncio.create_task(
        Runner(broker, JobKind.RECORD, "w1", slots=4, work=work, drain_s=0.1).run(stop), name="recorder"
    )
    try:
        for tenant in ("acme", "umbra"):
            payload = msgspec.msgpack.encode(batch(tenant).batch)
            await broker.dispatch(
                [Submit(Job(f"rec_{tenant}", JobKind.RECORD, SessionRef(tenant, "sess_1"), payload, T0))]
            )
        async with asyncio.timeout(PATIENCE_S):
            while await broker.connection.commands.xlen("avb:record"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await broker.connection.commands.xlen("avb:dead:record") == 1
    finally:
        stop.set()
        await running
        await work.close()
        await broker.close()
    stored = await everything(postgres)
    assert not any(secret in stored for secret in SECRETS)
    assert "zanzibar" in await everything(postgres, "umbra")  # nobody else waits for it
