"""Where parcels are looked up. Adapters: the catalogue in PostgreSQL; Sanity comes behind the same port."""

from collections.abc import Collection, Sequence
from typing import Protocol

from agentvoicebox_delivery.parcels.shipment import Shipment


class Shipments(Protocol):
    """A read-only look-up."""

    async def find(self, tenant_id: str, tracking_ids: Sequence[str]) -> list[Shipment]:
        """The shipments among at most 16 normalised candidate ids, in one query; [] when none exists.

        Raises:
            StorageLost, ProviderTimeout: the backend can't answer now (not the same as none).
        """


class NearShipments(Protocol):
    """What a source may offer besides: parcels whose numbers are like one that was misheard."""

    async def find_near(
        self, tenant_id: str, beginnings: Sequence[str], endings: Sequence[str], ids: Collection[str] = ()
    ) -> list[Shipment]:
        """The shipments whose ids begin with one of `beginnings`, or whose last four digits (letters left out) are in `endings`.

        Bounded: of very many that begin or end alike only some come back; of those with one of the `ids` (at most some 2,500)
        all do.

        Raises:
            StorageLost, ProviderTimeout: the backend can't answer now.
        """
