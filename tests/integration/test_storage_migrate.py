"""Migrations bring a real PostgreSQL up to date, whoever asks, however often."""

import asyncio

import asyncpg
import pytest
import structlog

from agentvoicebox.errors import StorageLost
from agentvoicebox.storage.migrate import migrate, pending_sql
from agentvoicebox.storage.postgres import Postgres, StorageRefused

pytestmark = pytest.mark.requirement("A10")

TABLES = {"sessions", "conversation_items", "responses", "audit_logs", "usage_entries", "turns", "call_audio", "events"}


async def test_an_empty_database_gets_every_table_partitioned_and_guarded(postgres_url: str) -> None:
    await migrate(postgres_url)
    connection = await asyncpg.connect(postgres_url)
    try:
        rows = await connection.fetch(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind = 'p'"
        )
        parts = await connection.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'sessions'::regclass")
    finally:
        await connection.close()
    assert {row["relname"] for row in rows} == TABLES
    assert all(row["relrowsecurity"] and row["relforcerowsecurity"] for row in rows)
    assert parts == 8


async def test_migrating_twice_and_at_the_same_time_is_migrating_once(postgres_url: str) -> None:
    await asyncio.gather(*(migrate(postgres_url) for _ in range(3)))
    await migrate(postgres_url)
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    finally:
        await connection.close()


def test_an_up_to_date_database_has_nothing_pending() -> None:
    assert pending_sql("0008") == ""
    assert "CREATE TABLE sessions" in pending_sql(None)


async def test_a_database_that_a_newer_version_migrated_is_used_as_it_is(
    postgres_url: str,
) -> None:
    await migrate(postgres_url)
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        with structlog.testing.capture_logs() as logs:
            await migrate(postgres_url)
        assert await connection.fetchval("SELECT version_num FROM alembic_version") == "9999"
    finally:
        await connection.close()
    assert any("migrated by a newer version" in line["event"] for line in logs)


async def test_sessions_of_an_earlier_version_get_the_times_that_they_lacked(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(pending_sql(None, until="0003"))
        await connection.execute("SELECT set_config('agentvoicebox.tenant_id', 'acme', false)")
        await connection.execute(
            "INSERT INTO sessions (tenant_id, session_id, closed_at) VALUES ('acme', 's', '2026-01-01')"
        )
        await migrate(postgres_url)
        row = await connection.fetchrow("SELECT opened_at = '2026-01-01', last_at > '2026-11-01' FROM sessions")
        assert row is not None and tuple(row) == (True, True)
    finally:
        await connection.close()


async def test_a_server_that_is_not_there_is_storage_lost() -> None:
    with pytest.raises(StorageLost):
        await migrate("postgresql://nobody@127.0.0.1:1/nothing")


async def test_tables_that_are_not_there_are_not_mistaken_for_a_server_that_is_away(postgres_url: str) -> None:
    postgres = await Postgres.open(postgres_url)
    try:
        with pytest.raises(StorageRefused):
            await postgres.check()
    finally:
        await postgres.close()
