"""A kit's tables: made by the kit, left alone without it, taken over from versions in which the platform made them."""

from pathlib import Path

import asyncpg
from tests.kit.kits import DELIVERY

from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.kits.migrate import migrate_all
from agentvoicebox.kits.registry import Kits
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox_delivery.sources.catalogue import Catalogue
from agentvoicebox_delivery.sources.demo_data import seed

SCHEMA_OF_0E6754A = Path(__file__).parents[1] / "data" / "formats" / "0e6754a" / "schema.sql"


async def tables(postgres_url: str) -> dict[str, tuple[bool, bool, int]]:
    """Partitioned tables: (row-level security, forced, partitions)."""
    connection = await asyncpg.connect(postgres_url)
    try:
        rows = await connection.fetch(
            "SELECT relname, relrowsecurity, relforcerowsecurity,"
            " (SELECT count(*) FROM pg_inherits WHERE inhparent = oid) FROM pg_class WHERE relkind = 'p'"
        )
    finally:
        await connection.close()
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


async def test_without_a_kit_there_is_no_table_of_shipments(postgres_url: str) -> None:
    await migrate_all(postgres_url, Kits())
    assert "sessions" in (found := await tables(postgres_url)) and "shipments" not in found


async def test_a_kit_adds_its_tables_with_the_same_guard_and_once(postgres_url: str) -> None:
    await migrate_all(postgres_url, DELIVERY)
    await migrate_all(postgres_url, DELIVERY)
    found = await tables(postgres_url)
    assert found["shipments"] == found["sessions"] == (True, True, 8)


async def test_shipments_of_a_version_whose_platform_made_the_table_are_still_found(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(SCHEMA_OF_0E6754A.read_text())
        await connection.execute(f"SELECT set_config('agentvoicebox.tenant_id', '{DEFAULT_TENANT}', false)")
        await connection.execute(
            "INSERT INTO shipments (tenant_id, tracking_id_norm, status) VALUES ($1, 'OLD123', 'delayed')".replace(
                "$1", f"'{DEFAULT_TENANT}'"
            )
        )
    finally:
        await connection.close()
    await migrate_all(postgres_url, DELIVERY)
    postgres = await Postgres.open(postgres_url)
    try:
        await seed(postgres, DEFAULT_TENANT)
        catalogue = Catalogue(postgres)
        (old,) = await catalogue.find(DEFAULT_TENANT, ["OLD123"])
        assert old.status == "delayed"
        assert [each.tracking_id for each in await catalogue.find("another", ["OLD123"])] == []
        assert "OLD123" in {each.tracking_id for each in await catalogue.find_near(DEFAULT_TENANT, [], ["123"])}
    finally:
        await postgres.close()
