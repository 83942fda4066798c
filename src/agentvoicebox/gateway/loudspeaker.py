"""Whether the caller hears the agent just now, for the detector: over the agent's voice it takes more sound to open a turn.

Audio leaves faster than it is played; this follows the playing at the caller's real time, as the engine does for itself.
"""

import asyncio
from collections.abc import Callable

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.clock import Clock


class Loudspeaker:
    """One caller's. `tell` is called with True when playing begins and False when it ends."""

    def __init__(self, tell: Callable[[bool], None], clock: Clock) -> None:
        self._tell = tell
        self._clock = clock
        self._ends_at_s = 0.0
        self._end: asyncio.TimerHandle | None = None

    def play(self, sample_count: int) -> None:
        """More audio was sent, counted at 24 kHz."""
        now_s = self._clock.monotonic_s()
        self._ends_at_s = max(self._ends_at_s, now_s) + sample_count / OUTPUT_RATE_HZ
        if self._end is None:
            self._tell(True)
            self._wait(self._ends_at_s - now_s)

    def play_for(self, seconds: float) -> None:
        """So much of what another gateway sent is not yet played."""
        if seconds > 0:
            self.play(round(seconds * OUTPUT_RATE_HZ))

    def stop(self) -> None:
        """What was not played is thrown away (the caller broke in), or the call is over."""
        self._ends_at_s = 0.0
        if self._end is not None:
            self._end.cancel()
            self._end = None
            self._tell(False)

    def _wait(self, seconds: float) -> None:
        self._end = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        left_s = self._ends_at_s - self._clock.monotonic_s()
        if left_s > 0:
            self._wait(left_s)
        else:
            self.stop()
