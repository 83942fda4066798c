"""Turns of clients that were not admitted: decides who of them is served next, and how much of the event loop all of them get.

A request without a key costs the loop a millisecond, whatever the answer, so a flood of them would slow the calls down. They
share a rate. Of those that wait, the source that had the fewest turns lately is next: a caller is not kept out by a few sources
that send hundreds. A turn in which a good key was shown does not count, so an address from which callers come stays ahead.
"""

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import Callable

from agentvoicebox.resilience.token_bucket import TokenBucket

TURNS_PER_S = 50.0
BURST_S = 0.5
MAX_HELD_BYTES = 32 * 1024 * 1024  # that were read of all clients that wait; uvloop reads up to 256 KiB at once
REMEMBERED = 4_096  # sources; then all of them start anew


class TurnQueue:
    """The turns of one server."""

    def __init__(self, per_s: float = TURNS_PER_S) -> None:
        """`per_s`: turns a second; 0: no limit."""
        self._bucket = TokenBucket(per_s, per_s * BURST_S)
        self._per_s = per_s
        self._had: Counter[str] = Counter()  # turns lately, by source
        self._waiting: list[tuple[int, int, Callable[[], bool]]] = []
        self._number = itertools.count()
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def enter(self, source: str, begin: Callable[[], bool]) -> None:
        """Have `begin` called when it is this client's turn. It returns False when the client needs none any more."""
        if not self._per_s:
            begin()
            return
        if len(self._had) >= REMEMBERED:
            self._had.clear()
        self._had[source] += 1
        heapq.heappush(self._waiting, (self._had[source], next(self._number), begin))
        if self._timer is None:
            self._serve()

    def hold(self, count: int) -> bool:
        """Whether a client that waits may keep so many bytes that were read of it; until `release`."""
        if self._held_bytes + count > MAX_HELD_BYTES:
            return False
        self._held_bytes += count
        return True

    def release(self, count: int) -> None:
        """A client does not wait any more."""
        self._held_bytes -= count

    def forgive(self, source: str) -> None:
        """A client of this source has shown a good key: its turn does not count, and the next one goes ahead of first ones."""
        self._had[source] = max(self._had[source] - 2, -1)

    def charge(self) -> None:
        """A client makes another request within its turn: the next turn waits for it."""
        self._bucket.take(asyncio.get_running_loop().time())

    def _serve(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting:
            _, _, begin = heapq.heappop(self._waiting)
            wait_s = self._bucket.take(loop.time(), 1 if begin() else 0)
            if wait_s:
                self._timer = loop.call_later(wait_s, self._serve)
                return
        self._had = Counter({source: turns for source, turns in self._had.items() if turns < 0})  # none waits
