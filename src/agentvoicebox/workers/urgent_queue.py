"""Which piece of a machine's engine work begins next: one order of urgency for recognition and speech.

Pure: it reads no clock and starts no thread. Rules, in this order:

- Who is due first goes first. A decode whose caller has stopped speaking and the first sound of an answer are due at once; a
  further chunk is due when its caller will have heard what is rendered.
- Work that lies ahead (due in more than AHEAD_S) never takes the last free thread: a decode that comes a moment later would wait
  until the end of a chunk that the caller hears in some seconds. It goes on once another thread is free, or when it is due.
- A guess (a decode at a pause, where the caller may go on) waits while as much work that must be done waits as there are
  threads. If its caller goes on meanwhile, it was saved; if the turn ends, it is no guess any more.
"""

import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

AHEAD_S = 0.9  # a chunk that is begun now is ready well before: chunks last at most 1.4 s, and take a third of it

TICK_S = 0.001  # clocks and sums of seconds are not exact


@dataclass(eq=False, slots=True)
class Due:
    """The deadline of a piece of work (monotonic seconds). It may be moved, and a guess may become certain.

    Attributes:
        at_s: when the result is needed.
        is_guess: whether the result may turn out to be needed by no one.
    """

    at_s: float
    is_guess: bool = False


class EngineWork(NamedTuple):
    """A piece of work that has not begun.

    Attributes:
        share: whose; see `UrgentQueue`.
        call: what is to be done, in a thread.
    """

    share: str
    due: Due
    future: "Future[Any]"
    call: Callable[[], Any]


class UrgentQueue:
    """Work that waits, in order of arrival; short enough for linear search.

    Attributes:
        limits: how many pieces of each share run at a time, at most.
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits = dict(limits)
        self.waiting: list[EngineWork] = []

    def take(self, now_s: float, threads: int, running: Mapping[str, int]) -> EngineWork | float | None:
        """Remove and return what begins now; or the seconds until something may begin by itself; or None.

        Args:
            now_s: monotonic seconds.
            threads: that compute at a time, busy and free.
            running: how many pieces of each share run now.
        """
        self.waiting = [work for work in self.waiting if not work.future.cancelled()]
        free = threads - sum(running.values())
        if free <= 0:
            return None
        urgent = [work for work in self.waiting if work.due.at_s - now_s <= AHEAD_S + TICK_S]
        is_crowded = sum(not work.due.is_guess for work in urgent) >= threads
        may_lie_ahead = free > 1 or threads == 1
        candidates = [
            work
            for work in (self.waiting if may_lie_ahead else urgent)
            if running.get(work.share, 0) < self.limits[work.share] and not (is_crowded and work.due.is_guess)
        ]
        if candidates:
            first = min(candidates, key=lambda work: work.due.at_s)
            self.waiting.remove(first)
            return first
        ahead_s = [work.due.at_s - now_s - AHEAD_S for work in self.waiting if work not in urgent]
        # What is never due (a line that is prepared) begins when another thread is free, not after a time.
        timed_s = [seconds for seconds in ahead_s if math.isfinite(seconds)]
        return min(timed_s) if timed_s and not may_lie_ahead else None

    def drop(self, share: str) -> list[EngineWork]:
        """Remove and return all work of a share."""
        dropped = [work for work in self.waiting if work.share == share]
        self.waiting = [work for work in self.waiting if work.share != share]
        return dropped
