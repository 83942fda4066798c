"""Old records go when a tenant's rules say so: its own and no others', in small steps, by a role that may do nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from tests.kit.client import until

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.effects import Persist
from agentvoicebox.settings import Settings
from agentvoicebox.storage.audit import AuditEntry, AuditLog
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import JANITOR_ROLE, Postgres, StorageRefused
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.retention import Retention, SweepCounts, SweepRunning
from agentvoicebox.storage.rules import RetentionRules, RuleBook, TenantRules
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.workers.janitor import serve_janitor

NOW_S = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
DAY_S = 86_400.0
USUAL = RetentionRules(days=30, audit_days=300)


def batch(session: str, age_days: float, *, items: int = 3, tenant: str = "acme") -> TimedBatch:
    records = [
        Persist(session, "session_opened", {"agent": "delivery"}),
        *(Persist(f"item_{number}", "item", {"item": {}}) for number in range(items)),
        Persist("resp_1", "response", {}),
    ]
    return TimedBatch(RecordBatch(tenant, session, "", tuple(records)), NOW_S - age_days * DAY_S)


@pytest.fixture
async def janitors(postgres: Postgres, records_url: str) -> AsyncIterator[Postgres]:
    made = await Postgres.open(records_url, most_connections=2, role=JANITOR_ROLE)
    yield made
    await made.close()


@pytest.fixture
def retention(janitors: Postgres, manual_clock: ManualClock) -> Retention:
    manual_clock.advance(NOW_S - manual_clock.wall_s())
    return Retention(
        janitors, USUAL, also={"_gate": RetentionRules(audit_days=20)}, clock=manual_clock, step_rows=4, rest_s=0.0
    )


async def record(postgres: Postgres, *batches: TimedBatch) -> None:
    conversations = Conversations(postgres, RuleBook(postgres, USUAL))
    for each in batches:
        await conversations.write([each])


async def sessions(postgres: Postgres, tenant: str = "acme") -> list[str]:
    page = await History(postgres).sessions(tenant, order="asc")
    return [each.session_id for each in page.records]


async def count(postgres: Postgres, table: str, tenant: str = "acme") -> int:
    async with postgres.tenant_transaction(tenant) as connection:
        found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return found


async def test_what_is_too_old_goes_whole_and_everything_else_stays(postgres: Postgres, retention: Retention) -> None:
    await record(postgres, batch("old", 31, items=11), batch("young", 29), batch("old_u", 31, tenant="umbra"))
    await RuleBook(postgres, USUAL).set("umbra", TenantRules(days=60))
    assert await retention.sweep() == SweepCounts(sessions=1, items=11, responses=1)
    assert await sessions(postgres) == ["young"]
    assert (await count(postgres, "conversation_items"), await count(postgres, "responses")) == (3, 1)
    assert await sessions(postgres, "umbra") == ["old_u"]
    assert await count(postgres, "conversation_items", "umbra") == 3
    assert await retention.sweep() == SweepCounts()


async def test_a_tenants_own_rule_is_shorter_or_longer_than_the_usual_one(
    postgres: Postgres, retention: Retention
) -> None:
    await record(postgres, batch("s", 10), batch("s", 10, tenant="umbra"), batch("s", 10, tenant="zeta"))
    rules = RuleBook(postgres, USUAL)
    await rules.set("acme", TenantRules(days=9))
    await rules.set("zeta", TenantRules(days=11))
    await retention.sweep()
    assert [await sessions(postgres, tenant) for tenant in ("acme", "umbra", "zeta")] == [[], ["s"], ["s"]]


async def test_a_session_is_as_old_as_its_last_record(postgres: Postgres, retention: Retention) -> None:
    await record(postgres, batch("s", 40), batch("s", 20))
    await retention.sweep()
    assert await sessions(postgres) == ["s"] and await count(postgres, "conversation_items") == 3


async def test_the_audit_log_and_usage_are_kept_by_a_rule_of_their_own(
    postgres: Postgres, retention: Retention
) -> None:
    log = AuditLog(postgres)
    for tenant, days in (("acme", 300), ("umbra", 300), ("_gate", 20)):
        for name, age_days in (("old", days + 1), ("young", days - 1)):
            await log.append(tenant, AuditEntry(name, NOW_S - age_days * DAY_S, "key_1", "session.opened", "s"))
    await record(postgres, batch("s1", 301), batch("s2", 299), batch("s3", 301, tenant="umbra"))
    await RuleBook(postgres, USUAL).set("umbra", TenantRules(audit_days=400))
    swept = await retention.sweep()
    assert (swept.audit, swept.usage) == (2, 2)  # acme's and the gate's; a session's entry and its response's
    assert [entry.audit_id for entry in await log.latest("acme")] == ["young"]
    assert [entry.audit_id for entry in await log.latest("_gate")] == ["young"]
    assert len(await log.latest("umbra")) == 2
    assert (await count(postgres, "usage_entries"), await count(postgres, "usage_entries", "umbra")) == (2, 2)
    assert await sessions(postgres) == []  # their words were gone long before


async def test_the_role_that_serves_callers_deletes_nothing_and_the_janitor_changes_nothing(
    postgres: Postgres, postgres_server: object, janitors: Postgres
) -> None:
    await record(postgres, batch("s", 1))
    for table in ("sessions", "conversation_items", "responses", "turns", "call_audio", "usage_entries", "audit_logs"):
        with pytest.raises(StorageRefused):
            async with postgres.tenant_transaction("acme") as connection:
                await connection.execute(f"DELETE FROM {table}")
        with pytest.raises(StorageRefused):
            async with janitors.tenant_transaction("acme") as connection:
                await connection.execute(f"UPDATE {table} SET tenant_id = 'umbra'")
    async with janitors.tenant_transaction("umbra") as connection:
        assert await connection.execute("DELETE FROM conversation_items") == "DELETE 0"
    assert await count(postgres, "conversation_items") == 3


async def test_one_sweeps_at_a_time(postgres: Postgres, retention: Retention, records_url: str) -> None:
    await record(postgres, batch("old", 31))
    other = await asyncpg.connect(records_url)
    try:
        await other.execute("SELECT pg_advisory_lock($1)", 0x61766274)
        with pytest.raises(SweepRunning):
            await retention.sweep()
        assert await sessions(postgres) == ["old"]
    finally:
        await other.close()
    assert (await retention.sweep()).sessions == 1


async def test_the_janitor_is_the_one_who_sweeps(postgres: Postgres, records_url: str, redis_url: str) -> None:
    await record(
        postgres, TimedBatch(batch("old", 0).batch, 1_000_000_000.0), TimedBatch(batch("new", 0).batch, time.time())
    )
    ready, stop = asyncio.Event(), asyncio.Event()
    settings = Settings(redis_url=redis_url, postgres_url=records_url, history_days=30)
    serving = asyncio.create_task(serve_janitor(settings, ready.set, stop, ProcessReport()))

    async def is_swept() -> bool:
        return await sessions(postgres) == ["new"]

    await ready.wait()
    await until(is_swept)
    stop.set()
    await serving
