"""Failures of a source that last until an operator acts: records that can't be read, and requests that it refuses."""

from collections.abc import Sequence

from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox_delivery.parcels.shipment import Shipment


class RefusedRequest(BadProviderAnswer):
    """The source refuses each request: a wrong token, dataset or query. The message names the setting to check."""

    code = "source_refused"


class UnreadableRecord(BadProviderAnswer):
    """Parcels of these numbers exist, but their records are invalid.

    Attributes:
        tracking_ids: requested ids with an invalid record.
        shipments: the other requested parcels.
    """

    code = "unreadable_record"

    def __init__(self, tracking_ids: Sequence[str], shipments: Sequence[Shipment]) -> None:
        super().__init__(f"{len(tracking_ids)} stored shipments can't be read; the log names the documents")
        self.tracking_ids = tuple(tracking_ids)
        self.shipments = tuple(shipments)
