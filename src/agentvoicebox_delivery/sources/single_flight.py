"""One request for one thing at a time: whoever wants what is already being fetched waits for that.

A flight belongs to nobody: a caller who leaves, or loses patience, does not end it, and its result still lands. What is forgotten
while in the air does not land.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Fetches things by key.

    Args:
        fetch: gets several at once; its result has every key.
        store: told what came, with the keys that still matter.
    """

    def __init__(
        self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], store: Callable[[Mapping[K, V]], None]
    ) -> None:
        self._fetch = fetch
        self._store = store
        self._flights: dict[K, asyncio.Task[Mapping[K, V]]] = {}
        self._tasks: set[asyncio.Task[Mapping[K, V]]] = set()

    def join(self, keys: Collection[K]) -> tuple[set[asyncio.Task[Mapping[K, V]]], bool]:
        """The flights that bring `keys`, one of them new for those that are not under way.

        Wait for them with `asyncio.wait`, which leaves them alone when the waiter goes.

        Returns:
            (flights, whether one had to be started)
        """
        missing = [key for key in dict.fromkeys(keys) if key not in self._flights]
        if missing:
            task = asyncio.create_task(self._run(missing), name="single-flight")
            self._tasks.add(task)
            task.add_done_callback(self._on_done)
            self._flights.update(dict.fromkeys(missing, task))
        return {self._flights[key] for key in keys}, bool(missing)

    def forget(self, keys: Collection[K]) -> None:
        """What is under way for `keys` brings nothing to land; who asks from now on starts anew."""
        for key in keys:
            self._flights.pop(key, None)

    @property
    def keys(self) -> Collection[K]:
        """What is under way."""
        return self._flights.keys()

    async def close(self) -> None:
        """End all flights; who waits for one finds it cancelled."""
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
            task.exception()  # seen, also when nobody waits any more
