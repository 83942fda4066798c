"""Deduplicates concurrent requests: a key that is already being fetched is not fetched again.

A request continues when its callers are cancelled or time out, and its result is still stored. The result of a key that is
forgotten during the request is not stored.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Fetches values by key.

    Args:
        fetch: fetches several keys at once; its result has every key.
        store: called with the fetched values whose keys were not forgotten.
    """

    def __init__(
        self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], store: Callable[[Mapping[K, V]], None]
    ) -> None:
        self._fetch = fetch
        self._store = store
        self._flights: dict[K, asyncio.Task[Mapping[K, V]]] = {}
        self._tasks: set[asyncio.Task[Mapping[K, V]]] = set()

    def join(self, keys: Collection[K]) -> tuple[set[asyncio.Task[Mapping[K, V]]], bool]:
        """The running requests for `keys`; starts one for the keys that are not being fetched.

        Wait for them with `asyncio.wait`, which does not cancel them when the waiting task is cancelled.

        Returns:
            (requests, whether one was started)
        """
        missing = [key for key in dict.fromkeys(keys) if key not in self._flights]
        if missing:
            task = asyncio.create_task(self._run(missing), name="single-flight")
            self._tasks.add(task)
            task.add_done_callback(self._on_done)
            self._flights.update(dict.fromkeys(missing, task))
        return {self._flights[key] for key in keys}, bool(missing)

    def forget(self, keys: Collection[K]) -> None:
        """Do not store the results of running requests for `keys`; the next `join` starts a new request."""
        for key in keys:
            self._flights.pop(key, None)

    @property
    def keys(self) -> Collection[K]:
        """The keys that are being fetched."""
        return self._flights.keys()

    async def close(self) -> None:
        """Cancel all requests; tasks that wait for them see them cancelled."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, keys: Sequence[K]) -> Mapping[K, V]:
        task = asyncio.current_task()
        try:
            fetched = await self._fetch(keys)
            self._store({key: fetched[key] for key in keys if self._flights.get(key) is task})
            return fetched
        finally:
            for key in keys:
                if self._flights.get(key) is task:
                    del self._flights[key]

    def _on_done(self, task: asyncio.Task[Mapping[K, V]]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved, also if no task waits any more
