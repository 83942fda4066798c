"""Deduplicates requests: a repeated request gets the same answer, while the first one runs and for ten minutes after it.

A platform sends no idempotency key, and may repeat a request when the answer was lost. The user of this class makes the key. The
memory is bounded; the oldest answer is dropped first.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from agentvoicebox.clock import Clock, SystemClock

TTL_S = 600.0  # longer than any retry policy (at most ten, ten seconds apart)
MOST_ANSWERS = 10_000

V = TypeVar("V")


class Idempotency(Generic[V]):
    """Stores answers by key.

    Args:
        should_store: whether an answer is stored. Otherwise only the requests that wait for it get it, and later ones run again.
        on_replay: called each time an answer is reused.
    """

    def __init__(
        self,
        *,
        should_store: Callable[[V], bool] = lambda answer: True,
        on_replay: Callable[[], None] = lambda: None,
        ttl_s: float = TTL_S,
        most: int = MOST_ANSWERS,
        clock: Clock | None = None,
    ) -> None:
        self._should_store = should_store
        self._on_replay = on_replay
        self._ttl_s = ttl_s
        self._most = most
        self._clock = clock or SystemClock()
        self._answers: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()  # oldest first
        self._running: dict[Hashable, asyncio.Task[V]] = {}

    async def once(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The answer for `key`; calls `make` unless the answer is stored or `make` is already running.

        Cancelling this coroutine does not cancel `make`: others may wait for it, and its answer is stored.
        """
        known = self._answers.get(key)
        if known is not None and self._clock.monotonic_s() - known[0] < self._ttl_s:
            self._on_replay()
            return known[1]
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, make), name="tool call")
            self._running[key] = task
        else:
            self._on_replay()
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel what is running; requests that wait for it get CancelledError."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _make(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, V]]) -> V:
        try:
            answer = await make()
        finally:
            self._running.pop(key, None)
        if self._should_store(answer):
            self._answers.pop(key, None)
            self._answers[key] = (self._clock.monotonic_s(), answer)
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return answer
