"""The demo parcels as documents of a Sanity dataset, for the local server: the same data as in the catalogue.

    python -m agentvoicebox_delivery.sources.sanity_demo > deploy/sanity-local/documents.json

The file contains the day of its dates; the server moves the dates to the current day.
"""

import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.sources.demo_data import parcels

BASE_DAY = date(2025, 1, 6)  # an arbitrary day


def documents(shipments: Iterable[Shipment]) -> list[dict[str, Any]]:
    """Shipments and their carriers as Sanity documents."""
    carriers: dict[str, dict[str, Any]] = {}
    written = []
    for shipment in shipments:
        document: dict[str, Any] = {
            "_id": f"shipment-{shipment.tracking_id.lower()}",
            "_type": "shipment",
            "trackingId": shipment.tracking_id,
            "trackingIdNorm": shipment.tracking_id,
            "status": shipment.status.value,
        }
        if shipment.updated_at:
            document["_updatedAt"] = _moment(shipment.updated_at)
        if shipment.eta:
            document["eta"] = shipment.eta.isoformat()
        if shipment.carrier:
            carrier_id = "carrier-" + shipment.carrier.lower().replace(" ", "-")
            carriers[carrier_id] = {"_id": carrier_id, "_type": "carrier", "name": shipment.carrier}
            document["carrier"] = {"_type": "reference", "_ref": carrier_id}
        event = shipment.last_event
        if event:
            event_fields = {"_key": "last", "status": event.status.value}
            event_fields |= {"at": _moment(event.at)} if event.at else {}
            event_fields |= {"location": event.location} if event.location else {}
            document["events"] = [event_fields]
        written.append(document)
    return [*carriers.values(), *written]


def demo_file() -> bytes:
    """Content of the local server's file."""
    content = {"day": BASE_DAY.isoformat(), "documents": documents(parcels(BASE_DAY))}
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    sys.stdout.buffer.write(demo_file())
