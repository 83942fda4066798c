"""Buckets by name, for many names: those that were not used for the longest time are forgotten, and begin anew."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

MOST_NAMES = 10_000

Bucket = TypeVar("Bucket")


class BucketTable(Generic[Bucket]):
    """Args: make: a new bucket, or several that belong together. most: names that are remembered."""

    def __init__(self, make: Callable[[], Bucket], most: int = MOST_NAMES) -> None:
        self._make = make
        self._most = most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, name: str) -> Bucket:
        """The name's own."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = self._make()
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        return bucket
