"""One answer for one question: whoever asks the same again within ten minutes, or meanwhile, gets the same.

A platform sends no idempotency key and may send a request again when our answer was lost. What is "the same" is the key, which
the caller makes. Bounded; the oldest answer goes first.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from agentvoicebox.clock import Clock, SystemClock

LASTS_S = 600.0  # longer than any plan of retries: ten, ten seconds apart
MOST_ANSWERS = 10_000

V = TypeVar("V")


class Idempotency(Generic[V]):
    """Remembers answers by key.

    Args:
        keeps: whether an answer is worth remembering; one that isn't is given to those who wait for it, and made anew later.
        on_replay: told each time an answer is given again.
    """

    def __init__(
        self,
        *,
        keeps: Callable[[V], bool] = lambda answer: True,
        on_replay: Callable[[], None] = lambda: None,
        lasts_s: float = LASTS_S,
        most: int = MOST_ANSWERS,
        clock: Clock | None = None,
    ) -> None:
        self._keeps = keeps
        self._on_replay = on_replay
        self._lasts_s = lasts_s
        self._most = most
        self._clock = clock or SystemClock()
        self._answers: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()  # oldest first
        self._flights: dict[Hashable, asyncio.Task[V]] = {}

    async def once(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The answer for `key`, made by `make` unless it is known or being made.

        A caller that is cancelled leaves the making alone: another may wait for it, and its answer is remembered.
        """
        known = self._answers.get(key)
        if known is not None and self._clock.monotonic_s() - known[0] < self._lasts_s:
            self._on_replay()
            return known[1]
        task = self._flights.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, make), name="tool call")
            self._flights[key] = task
        else:
            self._on_replay()
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is being made; who waits for it finds it cancelled."""
        flying = list(self._flights.values())
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)

    async def _make(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, V]]) -> V:
        try:
            answer = await make()
        finally:
            self._flights.pop(key, None)
        if self._keeps(answer):
            self._answers.pop(key, None)
            self._answers[key] = (self._clock.monotonic_s(), answer)
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return answer
