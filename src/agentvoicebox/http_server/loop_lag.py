"""How late the event loop is just now: a timer of 20 ms, and by how much it was missed.

What a socket's data waited in the kernel can't be read. But data that a reading connection gets can't have waited longer than the
loop was away, so this bounds it.
"""

import asyncio
import time
from collections.abc import Callable

TICK_S = 0.02


class LoopLag:
    """One event loop's. Times are monotonic seconds."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """Measures from `start` on; before, the loop counts as punctual."""
        self._now_s = now_s
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._late_s = 0.0  # of the last tick

    def start(self) -> None:
        """Measure the running loop until `stop`."""
        self._due_s = self._now_s() + TICK_S
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def stop(self) -> None:
        """Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._late_s = 0.0

    def seconds(self) -> float:
        """How long the loop was away at most, before what it does now; 0.0 or more."""
        if self._timer is None:
            return 0.0
        return max(self._late_s, self._now_s() - self._due_s, 0.0)

    def _tick(self) -> None:
        now_s = self._now_s()
        self._late_s = max(0.0, now_s - self._due_s)
        self._due_s = now_s + TICK_S
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
