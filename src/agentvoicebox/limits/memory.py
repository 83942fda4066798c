"""A sliding window for each source, in this process's memory: the exact times of its last requests.

Decides whether one more request fits, and when the next one will. The caller defines sources and costs. A window
stores at most `most_requests` times, and the least recently active source is dropped when there are too many.
"""

import math
from collections import OrderedDict, deque

import msgspec

from agentvoicebox.clock import Clock, SystemClock

WINDOW_S = 60.0
MOST_SOURCES = 10_000  # at 100 requests each some 10 MB


class WindowResult(msgspec.Struct, frozen=True):
    """The result for one request.

    Attributes:
        remaining: requests that may follow at once.
        retry_after_s: whole seconds until one more is admitted, at least 1; 0 when this one was.
    """

    is_admitted: bool
    remaining: int
    retry_after_s: int = 0


class SlidingWindow:
    """At most `most_requests` of a source within any `window_s`. A refused request counts nothing.

    Args:
        most_requests: 1 or more; 0 admits everything.
        most_sources: maximum of remembered sources.
    """

    def __init__(
        self,
        most_requests: int,
        *,
        window_s: float = WINDOW_S,
        most_sources: int = MOST_SOURCES,
        clock: Clock | None = None,
    ) -> None:
        self._most_requests = most_requests
        self._window_s = window_s
        self._most_sources = most_sources
        self._clock = clock or SystemClock()
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def admit(self, source: str) -> WindowResult:
        """Admit one more request of `source`, or refuse it."""
        if self._most_requests == 0:
            return WindowResult(True, remaining=0)
        now_s = self._clock.monotonic_s()
        times = self._times.setdefault(source, deque())
        self._times.move_to_end(source)
        if len(self._times) > self._most_sources:
            self._times.popitem(last=False)
        while times and times[0] <= now_s - self._window_s:
            times.popleft()
        if len(times) >= self._most_requests:
            return WindowResult(False, 0, max(1, math.ceil(times[0] + self._window_s - now_s)))
        times.append(now_s)
        return WindowResult(True, self._most_requests - len(times))
