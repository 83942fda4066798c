"""What was last known of each parcel, and when: a bounded memory that forgets what was not asked for longest.

Decides nothing about how old is too old; that is `cache`'s.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from agentvoicebox_delivery.parcels.shipment import Shipment

Key = tuple[str, str]  # tenant id, tracking id


class Known(msgspec.Struct, frozen=True):
    """One parcel as it was at a moment.

    Attributes:
        shipment: None: there was none of this number.
        requested_s: when the question went out (monotonic), so that an age is never told too young.
    """

    shipment: Shipment | None
    requested_s: float


class KnownParcels:
    """At most `most` parcels, of all tenants together."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError("a memory holds at least one parcel")
        self._most = most
        self._parcels: OrderedDict[Key, Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._parcels)

    def get(self, key: Key) -> Known | None:
        """What is known; the parcel counts as asked for now."""
        known = self._parcels.get(key)
        if known is not None:
            self._parcels.move_to_end(key)
        return known

    def put(self, key: Key, known: Known) -> None:
        """Remember; the one not asked for longest goes when there is no room."""
        self._parcels[key] = known
        self._parcels.move_to_end(key)
        if len(self._parcels) > self._most:
            self._parcels.popitem(last=False)

    def snapshot(self) -> Sequence[Key]:
        """All keys."""
        return tuple(self._parcels)

    def forget(self, keys: Iterable[Key]) -> None:
        """Remove some; unknown ones are ignored."""
        for key in keys:
            self._parcels.pop(key, None)
