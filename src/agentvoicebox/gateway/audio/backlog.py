"""How far ahead of time a caller may send audio while the store is nearly full. Speech in real time is never refused."""

from agentvoicebox.clock import Clock

AHEAD_S = 30.0  # what a client that was cut off sends again, and more
REFILL = 1.25  # a caller's clock may run a little faster than ours


class Backlog:
    """One caller's. Args: clock: for the time that passes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s: float | None = None  # None: not limited
        self._left_s = AHEAD_S

    def limit(self, is_limited: bool) -> None:
        """Limit from now on, or no longer. Idempotent."""
        if is_limited is (self._since_s is None):
            self._since_s = self._clock.monotonic_s() if is_limited else None
            self._left_s = AHEAD_S

    def takes(self, audio_s: float) -> bool:
        """Whether so much more audio is accepted; then it counts."""
        if self._since_s is None:
            return True
        now_s = self._clock.monotonic_s()
        self._left_s = min(AHEAD_S, self._left_s + REFILL * (now_s - self._since_s))
        self._since_s = now_s
        if audio_s > self._left_s:
            return False
        self._left_s -= audio_s
        return True
