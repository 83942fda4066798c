"""When each sample of the caller's audio arrived, for the latency accounts of a turn."""

from array import array
from bisect import bisect_right

from agentvoicebox.clock import Clock

ARRIVALS_KEPT = 4_096  # at least; 80 s of 20 ms appends, far longer than a turn


class ArrivalTimes:
    """One session's. Positions are 16 kHz samples since the session began."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._end_samples = array("q")  # position after each append
        self._arrived_s = array("d")
        self._has_dropped = False

    def note(self, end_sample: int) -> None:
        """An append ended at `end_sample` now."""
        self._end_samples.append(end_sample)
        self._arrived_s.append(self._clock.monotonic_s())
        if len(self._arrived_s) > 2 * ARRIVALS_KEPT:
            del self._end_samples[:ARRIVALS_KEPT], self._arrived_s[:ARRIVALS_KEPT]
            self._has_dropped = True

    def monotonic_s(self, sample: int) -> float | None:
        """Monotonic time at which a sample arrived; None if it has not arrived, or too long ago."""
        index = bisect_right(self._end_samples, sample)
        if index == len(self._arrived_s) or (index == 0 and self._has_dropped):
            return None
        return self._arrived_s[index]

    def wall_s(self, sample: int) -> float | None:
        """The same as wall time."""
        arrived_s = self.monotonic_s(sample)
        return None if arrived_s is None else arrived_s + self._clock.wall_s() - self._clock.monotonic_s()
