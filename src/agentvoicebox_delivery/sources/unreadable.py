"""The failure that is no absence: parcels that exist in a backend, in records that nobody can read."""

from collections.abc import Sequence

from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox_delivery.parcels.shipment import Shipment


class UnreadableRecord(BadProviderAnswer):
    """There are parcels of these numbers, and nobody can tell from their records how they stand.

    Attributes:
        tracking_ids: those of the asked.
        shipments: the other asked ones, which are fine.
    """

    code = "unreadable_record"

    def __init__(self, tracking_ids: Sequence[str], shipments: Sequence[Shipment]) -> None:
        super().__init__(f"{len(tracking_ids)} stored shipments can't be read; the log names the documents")
        self.tracking_ids = tuple(tracking_ids)
        self.shipments = tuple(shipments)
