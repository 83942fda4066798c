"""When each sample of the caller's audio arrived and when it was taken, for the latency accounts of a turn.

A frame may wait in the socket before it is read. The connection says since when at the earliest (`waiting_since_s`); within that
stretch, audio is taken to have come as it was spoken: each frame one frame's length after the one before. So a stalled reader
finds out how late it is, while a caller who paused, or whose network did, is not counted as our delay.
"""

from array import array
from bisect import bisect_right

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.gateway.audio.frame_lateness import FrameLateness

ARRIVALS_KEPT = 4_096  # at least; 80 s of 20 ms appends, far longer than a turn
DECISIONS_KEPT = 8


class TakenAt(msgspec.Struct, frozen=True):
    """Something of the caller's on its way in. Monotonic seconds.

    Attributes:
        arrived_s: when it was at the socket.
        taken_s: when it had been read and was handled, not before `arrived_s`.
    """

    arrived_s: float
    taken_s: float


class ArrivalTimes:
    """One session's. Positions are 16 kHz samples since the session began.

    Attributes:
        judging_sample: end of the window that the detector judges now; None: what it finds has another cause.
    """

    def __init__(self, clock: Clock, lateness: FrameLateness | None = None) -> None:
        self._clock = clock
        self._lateness = lateness or FrameLateness()
        self._end_samples = array("q")  # position after each append
        self._arrived_s = array("d")
        self._taken_s = array("d")
        self._has_dropped = False
        self._came_s: float | None = None  # arrival of the message whose audio is being appended
        self._decisions: dict[int, TakenAt] = {}  # end of speech → what decided that the turn is over
        self.judging_sample: int | None = None

    def message_came(self, audio_s: float = 0.0, waiting_since_s: float | None = None) -> TakenAt:
        """A message of the caller is handled now; what is noted until the next one came with it.

        Args:
            audio_s: how long its audio lasts.
            waiting_since_s: it was not in the socket before; None: it has just come.
        """
        now_s = self._clock.monotonic_s()
        arrived_s = now_s
        if waiting_since_s is not None and self._came_s is not None:
            arrived_s = min(now_s, max(waiting_since_s, self._came_s + audio_s))
        self._came_s = arrived_s
        if audio_s:
            self._lateness.note(now_s - arrived_s)
        return TakenAt(arrived_s, now_s)

    def note(self, end_sample: int) -> None:
        """An append ended at `end_sample` now."""
        now_s = self._clock.monotonic_s()
        self._end_samples.append(end_sample)
        self._taken_s.append(now_s)
        self._arrived_s.append(now_s if self._came_s is None else self._came_s)
        if len(self._arrived_s) > 2 * ARRIVALS_KEPT:
            del self._end_samples[:ARRIVALS_KEPT], self._arrived_s[:ARRIVALS_KEPT], self._taken_s[:ARRIVALS_KEPT]
            self._has_dropped = True

    def decided(self, speech_end_sample: int) -> None:
        """The detector found that the turn whose speech ended there is over: remember by which audio, if by any."""
        now_s = self._clock.monotonic_s()
        taken = None if self.judging_sample is None else self.of(self.judging_sample - 1)
        self._decisions[speech_end_sample] = taken or TakenAt(now_s, now_s)
        while len(self._decisions) > DECISIONS_KEPT:
            del self._decisions[next(iter(self._decisions))]

    def decision(self, speech_end_sample: int) -> TakenAt | None:
        """What decided it, or None when it is not known any more. Not audio: arrived and taken when it was decided."""
        return self._decisions.get(speech_end_sample)

    def of(self, sample: int) -> TakenAt | None:
        """A sample's times; None if it has not arrived, or too long ago."""
        index = bisect_right(self._end_samples, sample)
        if index == len(self._arrived_s) or (index == 0 and self._has_dropped):
            return None
        return TakenAt(self._arrived_s[index], self._taken_s[index])

    def monotonic_s(self, sample: int) -> float | None:
        """Monotonic time at which a sample arrived; None if it has not arrived, or too long ago."""
        taken = self.of(sample)
        return None if taken is None else taken.arrived_s

    def wall_s(self, sample: int) -> float | None:
        """The same as wall time."""
        arrived_s = self.monotonic_s(sample)
        return None if arrived_s is None else arrived_s + self._wall_offset_s()

    def decision_wall_s(self, speech_end_sample: int) -> tuple[float, float] | None:
        """`decision` as wall times: (arrived, taken)."""
        decision = self.decision(speech_end_sample)
        if decision is None:
            return None
        offset_s = self._wall_offset_s()
        return decision.arrived_s + offset_s, decision.taken_s + offset_s

    def _wall_offset_s(self) -> float:
        return self._clock.wall_s() - self._clock.monotonic_s()
