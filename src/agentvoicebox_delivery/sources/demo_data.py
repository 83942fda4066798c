"""Example parcels in every state, for a new installation.

All days are relative to the day of seeding: seeding again on a later day changes only the days. `PKG004` is out for delivery; it
is the parcel of the demo call.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from agentvoicebox.storage.postgres import Postgres
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentEvent, ShipmentStatus
from agentvoicebox_delivery.sources.catalogue import Catalogue

_S = ShipmentStatus

# (tracking id, status, carrier, days until arrival or None, days since the last event, its hour, its place or None)
_PARCELS: tuple[tuple[str, ShipmentStatus, str, int | None, int, int, str | None], ...] = (
    ("PKG001", _S.IN_TRANSIT, "DHL", 2, 0, 6, "Leipzig"),
    ("PKG002", _S.DELIVERED, "UPS", None, 1, 14, "Bristol"),
    ("PKG003", _S.LABEL_CREATED, "FedEx", 4, 0, 9, None),
    ("PKG004", _S.OUT_FOR_DELIVERY, "UPS", 0, 0, 7, "Leeds"),
    ("PKG005", _S.DELAYED, "USPS", 3, 1, 18, "Denver"),
    ("PKG006", _S.EXCEPTION, "DHL", 2, 0, 11, "Cologne"),
    ("PKG007", _S.READY_FOR_PICKUP, "Evri", None, 1, 10, "York"),
    ("PKG008", _S.RETURNED, "Royal Mail", None, 2, 16, "Cardiff"),
    ("PKG009", _S.CUSTOMS, "FedEx", 5, 1, 3, "Memphis"),
    ("PKG010", _S.PICKED_UP, "DPD", 2, 0, 17, "Birmingham"),
    ("PKG011", _S.CANCELLED, "DPD", None, 3, 12, None),
    ("PKG012", _S.IN_TRANSIT, "UPS", 1, 0, 4, "Rotterdam"),
    ("PKG013", _S.DELIVERED, "DHL", None, 3, 9, "Munich"),
    ("PKG014", _S.OUT_FOR_DELIVERY, "Evri", 0, 0, 8, "Glasgow"),
    ("PKG015", _S.DELAYED, "FedEx", None, 0, 22, "Paris"),
    ("PKG016", _S.IN_TRANSIT, "USPS", 6, 2, 13, "Chicago"),
    ("PKG017", _S.LABEL_CREATED, "UPS", None, 1, 8, None),
    ("PKG018", _S.EXCEPTION, "UPS", None, 1, 15, "Madrid"),
    ("PKG019", _S.READY_FOR_PICKUP, "DHL", None, 0, 12, "Vienna"),
    ("PKG020", _S.CUSTOMS, "DHL", None, 2, 5, "Dover"),
    ("PKG031", _S.IN_TRANSIT, "DPD", 1, 0, 2, "Lyon"),
    ("PKG301", _S.DELIVERED, "DPD", None, 4, 11, "Nantes"),
    ("ORD123456", _S.IN_TRANSIT, "DPD", 3, 1, 19, "Antwerp"),
    ("ORD301201", _S.IN_TRANSIT, "UPS", 2, 0, 5, "Porto"),
    ("ORD3121", _S.DELAYED, "UPS", 4, 0, 5, "Turin"),
    ("ORD30121", _S.OUT_FOR_DELIVERY, "DHL", 0, 0, 8, "Basel"),
    ("1Z999AA10123456784", _S.IN_TRANSIT, "UPS", 2, 0, 1, "Louisville"),
    ("1Z5R89390357567127", _S.DELIVERED, "UPS", None, 2, 15, "Austin"),
    ("1Z8V92A70367203024", _S.DELAYED, "UPS", 5, 0, 23, "Ontario"),
    ("986578788855", _S.OUT_FOR_DELIVERY, "FedEx", 0, 0, 6, "Tampa"),
    ("123456789012", _S.IN_TRANSIT, "FedEx", 3, 1, 21, "Oakland"),
    ("041441760228964", _S.PICKED_UP, "FedEx", 4, 0, 16, "Boise"),
    ("9400111206206406260787", _S.IN_TRANSIT, "USPS", 2, 0, 3, "Atlanta"),
    ("9505511069605048600624", _S.DELIVERED, "USPS", None, 1, 13, "Portland"),
    ("3318810025", _S.CUSTOMS, "DHL", 6, 1, 4, "Liège"),
    ("8487135506", _S.OUT_FOR_DELIVERY, "DHL", 0, 0, 8, "Dublin"),
    ("JJD0099999999", _S.READY_FOR_PICKUP, "DHL", None, 1, 9, "Bonn"),
    ("RB123456785GB", _S.IN_TRANSIT, "Royal Mail", 3, 1, 20, "Heathrow"),
    ("EE876543216US", _S.CUSTOMS, "USPS", None, 2, 7, "New York"),
    ("TBA502887274000", _S.OUT_FOR_DELIVERY, "Amazon", 0, 0, 9, "Seattle"),
)


def parcels(today: date) -> Iterator[Shipment]:
    """The demo parcels with the data of a day."""
    for tracking_id, status, carrier, arrives_in, days_ago, hour, place in _PARCELS:
        at = datetime.combine(today - timedelta(days=days_ago), time(hour), UTC)
        eta = None if arrives_in is None else today + timedelta(days=arrives_in)
        yield Shipment(tracking_id, status, carrier, eta, ShipmentEvent(status, at, place), at)


async def seed(postgres: Postgres, tenant_id: str, *, today: date | None = None) -> int:
    """Insert the demo parcels into a tenant's catalogue, with the data of `today` (None: the current UTC day). Idempotent.

    Returns:
        Number of parcels.

    Raises:
        StorageLost, StorageRefused: nothing was written.
    """
    shipments = list(parcels(today or datetime.now(UTC).date()))
    await Catalogue(postgres).put(tenant_id, shipments)
    return len(shipments)
