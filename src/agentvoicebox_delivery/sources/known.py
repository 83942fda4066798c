"""The last known state of each parcel with its time, in a bounded memory (least recently used entries are dropped).

`cache` decides which age is too old.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from agentvoicebox_delivery.parcels.shipment import Shipment

Key = tuple[str, str]  # tenant id, tracking id


class Known(msgspec.Struct, frozen=True):
    """The state of one parcel at a time.

    Attributes:
        shipment: None if there was no such parcel.
        requested_s: time of the request (monotonic), not of the answer, so that the age is never too low.
    """

    shipment: Shipment | None
    requested_s: float


class KnownParcels:
    """The last known parcels, at most `most` for all tenants together."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError("the size should be at least 1")
        self._most = most
        self._parcels: OrderedDict[Key, Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._parcels)

    def get(self, key: Key) -> Known | None:
        """The entry of a key, which becomes the most recently used one; None if there is none."""
        known = self._parcels.get(key)
        if known is not None:
            self._parcels.move_to_end(key)
        return known

    def put(self, key: Key, known: Known) -> None:
        """Store an entry; drops the least recently used one if the memory is full."""
        self._parcels[key] = known
        self._parcels.move_to_end(key)
        if len(self._parcels) > self._most:
            self._parcels.popitem(last=False)

    def snapshot(self) -> Sequence[Key]:
        """All keys, copied."""
        return tuple(self._parcels)

    def forget(self, keys: Iterable[Key]) -> None:
        """Remove entries; unknown keys are ignored."""
        for key in keys:
            self._parcels.pop(key, None)
