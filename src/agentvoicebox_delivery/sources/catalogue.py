"""The source of parcels in a PostgreSQL table."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from agentvoicebox.storage.postgres import Postgres
from agentvoicebox_delivery.database.queries import load
from agentvoicebox_delivery.numbers.tracking import MOST_CANDIDATES
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus

_FIND, _NEAR, _UPSERT = load("shipments_find"), load("shipments_near"), load("shipment_upsert")
MOST_ALIKE, MOST_NEAR = 200, 400  # rows for one ending or beginning; rows in all


class Catalogue:
    """Shipments in PostgreSQL. Implements parcels.port.Shipments and NearShipments."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """See parcels.port. Raises StorageLost."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            rows = await connection.fetch(_FIND, tenant_id, list(tracking_ids)[:MOST_CANDIDATES])
        return [_shipment(row) for row in rows]

    async def find_near(
        self, tenant_id: str, beginnings: Sequence[str], endings: Sequence[str], ids: Collection[str] = ()
    ) -> list[Shipment]:
        """See parcels.port.NearShipments. Raises StorageLost."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            rows = await connection.fetch(
                _NEAR, tenant_id, list(endings), list(beginnings), MOST_ALIKE, MOST_NEAR, list(ids)
            )
        return [_shipment(row) for row in rows]

    async def put(self, tenant_id: str, shipments: Iterable[Shipment]) -> None:
        """Insert or replace shipments in one transaction. Raises StorageLost or StorageRefused."""
        rows = [_row(tenant_id, shipment) for shipment in shipments]
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            await connection.executemany(_UPSERT, rows)

    async def check(self) -> None:
        """Raises StorageLost if look-ups can't be answered now."""
        await self._postgres.check()


def _shipment(row: Any) -> Shipment:
    event = row["event_status"] and ShipmentEvent(
        ShipmentStatus(row["event_status"]), row["event_at"], row["event_location"]
    )
    return Shipment(
        row["tracking_id_norm"],
        ShipmentStatus(row["status"]),
        row["carrier"],
        row["eta"],
        event or None,
        row["updated_at"],
    )


def _row(tenant_id: str, shipment: Shipment) -> tuple[object, ...]:
    event = shipment.last_event
    return (
        tenant_id,
        shipment.tracking_id,
        shipment.status.value,
        shipment.carrier,
        shipment.eta,
        event.status.value if event else None,
        event.at if event else None,
        event.location if event else None,
        shipment.updated_at or datetime.now(UTC),
    )
