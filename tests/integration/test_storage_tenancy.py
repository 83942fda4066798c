"""The database itself keeps tenants apart, whatever a query forgets; and says plainly when it is away."""

from collections.abc import AsyncIterator
from datetime import date

import asyncpg
import pytest
from tests.kit.kits import migrate

from agentvoicebox.errors import StorageLost
from agentvoicebox.storage.audit import AuditEntry, AuditLog
from agentvoicebox.storage.postgres import APP_ROLE, Postgres, StorageRefused
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus
from agentvoicebox_delivery.sources import demo_data
from agentvoicebox_delivery.sources.catalogue import Catalogue

pytestmark = pytest.mark.requirement("A12.3")


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Postgres]:
    await migrate(postgres_url)
    made = await Postgres.open(postgres_url, most_connections=2)
    yield made
    await made.close()


async def test_a_query_without_a_where_sees_only_its_tenant(postgres: Postgres) -> None:
    catalogue = Catalogue(postgres)
    for tenant in ("acme", "umbra"):
        await catalogue.put(tenant, [Shipment(f"{tenant.upper()}001", ShipmentStatus.DELAYED)])
    async with postgres.tenant_transaction("acme") as connection:
        rows = await connection.fetch("SELECT tracking_id_norm FROM shipments")
    assert [row["tracking_id_norm"] for row in rows] == ["ACME001"]
    assert await catalogue.find("acme", ["UMBRA001"]) == []


async def test_the_tenant_of_one_transaction_does_not_stay_for_the_next(postgres: Postgres) -> None:
    await Catalogue(postgres).put("acme", [Shipment("ACME001", ShipmentStatus.DELAYED)])
    for _ in range(4):  # every pooled connection
        async with postgres.tenant_transaction("") as connection:
            assert await connection.fetchval("SELECT count(*) FROM shipments") == 0


async def test_a_row_of_another_tenant_can_not_be_written_changed_or_read_in_its_partition(postgres: Postgres) -> None:
    catalogue = Catalogue(postgres)
    await catalogue.put("umbra", [Shipment("UMBRA001", ShipmentStatus.DELAYED)])
    insert = "INSERT INTO shipments (tenant_id, tracking_id_norm, status) VALUES ('umbra', 'X12345', 'delayed')"
    with pytest.raises(StorageRefused):
        async with postgres.tenant_transaction("acme") as connection:
            await connection.execute(insert)
    async with postgres.tenant_transaction("acme") as connection:
        assert await connection.execute("UPDATE shipments SET status = 'delivered'") == "UPDATE 0"
        assert await connection.execute("DELETE FROM shipments") == "DELETE 0"
    seen = 0
    for part in range(8):
        try:
            async with postgres.tenant_transaction("umbra") as connection:
                seen += await connection.fetchval(f"SELECT count(*) FROM shipments_{part}")
        except StorageRefused:
            continue  # no right at all, where the role is not the owner
    assert seen == 0
    assert (await catalogue.find("umbra", ["UMBRA001"]))[0].status is ShipmentStatus.DELAYED


async def test_a_superusers_url_becomes_the_role_that_sees_one_tenant(
    postgres: Postgres, postgres_server: EmbeddedPostgres, postgres_url: str
) -> None:
    await Catalogue(postgres).put("umbra", [Shipment("UMBRA001", ShipmentStatus.DELAYED)])
    mighty = await Postgres.open(postgres_server.owner_url.replace("/postgres?", "/agentvoicebox?"))
    try:
        async with mighty.tenant_transaction("acme") as connection:
            assert await connection.fetchval("SELECT current_user") == APP_ROLE
            assert await connection.fetchval("SELECT count(*) FROM shipments") == 0
    finally:
        await mighty.close()


async def test_a_role_that_bypasses_row_level_security_is_refused(
    postgres: Postgres, postgres_server: EmbeddedPostgres
) -> None:
    owner = await asyncpg.connect(postgres_server.owner_url)
    try:
        await owner.execute("CREATE ROLE bypasser LOGIN BYPASSRLS")
        blind = await Postgres.open(postgres_server.url.replace("agentvoicebox@", "bypasser@"))
        try:
            with pytest.raises(StorageRefused, match="bypasses"):
                async with blind.tenant_transaction("acme"):
                    raise AssertionError("it was let in")
        finally:
            await blind.close()
    finally:
        await owner.execute("DROP ROLE IF EXISTS bypasser")
        await owner.close()


async def test_parcels_come_back_as_they_were_put_and_are_replaced_by_id(postgres: Postgres) -> None:
    catalogue = Catalogue(postgres)
    parcels = list(demo_data.parcels(date(2026, 11, 22)))
    await catalogue.put("acme", parcels)
    assert await catalogue.find("acme", [parcels[3].tracking_id]) == [parcels[3]]
    changed = Shipment(parcels[3].tracking_id, ShipmentStatus.DELIVERED, updated_at=parcels[3].updated_at)
    await catalogue.put("acme", [changed])
    assert await catalogue.find("acme", [changed.tracking_id]) == [changed]


async def test_seeding_twice_is_seeding_once_and_holds_every_state(postgres: Postgres) -> None:
    day = date(2026, 11, 22)
    count = await demo_data.seed(postgres, "acme", today=day)
    assert await demo_data.seed(postgres, "acme", today=day) == count >= 36
    async with postgres.tenant_transaction("acme") as connection:
        assert await connection.fetchval("SELECT count(*) FROM shipments") == count
        states = await connection.fetch("SELECT DISTINCT status FROM shipments")
    assert {row["status"] for row in states} == {status.value for status in ShipmentStatus}


async def test_the_audit_log_is_appended_to_and_never_rewritten(postgres: Postgres) -> None:
    log = AuditLog(postgres)
    entry = AuditEntry("a1", 1_800_000_000.0, "key_1", "session.opened", "sess_1", "0" * 32, {"agent": "delivery"})
    await log.append("acme", entry)
    await log.append("acme", entry)
    assert await log.latest("acme") == [entry] and await log.latest("umbra") == []


async def test_an_absent_server_is_storage_lost() -> None:
    postgres = await Postgres.open("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StorageLost):
        await Catalogue(postgres).find("acme", ["PKG004"])
    await postgres.close()
