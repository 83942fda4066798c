"""The data of a parcel that a caller may receive. Without name and address, so the recipient can't be revealed."""

from datetime import date, datetime
from enum import StrEnum

import msgspec


class ShipmentStatus(StrEnum):
    """The state of a parcel."""

    LABEL_CREATED = "label_created"
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    CUSTOMS = "customs"
    OUT_FOR_DELIVERY = "out_for_delivery"
    READY_FOR_PICKUP = "ready_for_pickup"
    DELIVERED = "delivered"
    DELAYED = "delayed"
    EXCEPTION = "exception"
    RETURNED = "returned"
    CANCELLED = "cancelled"


class ShipmentEvent(msgspec.Struct, frozen=True):
    """The last event of a parcel. `location` is a town or a depot, as the carrier writes it."""

    status: ShipmentStatus
    at: datetime | None = None
    location: str | None = None


class Shipment(msgspec.Struct, frozen=True):
    """A parcel.

    Attributes:
        tracking_id: normalised, as it is looked up.
        carrier: display name, or None.
        eta: the expected day of arrival; None when unknown.
        updated_at: when the source last changed it.
    """

    tracking_id: str
    status: ShipmentStatus
    carrier: str | None = None
    eta: date | None = None
    last_event: ShipmentEvent | None = None
    updated_at: datetime | None = None
