"""Whether agent audio is playing at the caller now, for the turn detector: over it, more voice is needed to open a turn.

Audio is sent faster than it is played. This follows the playback in real time, as the engine does for itself (`engine.playout`).
"""

import asyncio
from collections.abc import Callable

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.clock import Clock


class PlaybackClock:
    """One caller's. `on_change` is called with True when playback begins and False when it ends."""

    def __init__(self, on_change: Callable[[bool], None], clock: Clock) -> None:
        self._on_change = on_change
        self._clock = clock
        self._ends_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def play(self, sample_count: int) -> None:
        """More audio was sent: `sample_count` samples at 24 kHz."""
        now_s = self._clock.monotonic_s()
        self._ends_at_s = max(self._ends_at_s, now_s) + sample_count / OUTPUT_RATE_HZ
        if self._timer is None:
            self._on_change(True)
            self._wait(self._ends_at_s - now_s)

    def play_for(self, seconds: float) -> None:
        """This much of what another gateway sent is not yet played."""
        if seconds > 0:
            self.play(round(seconds * OUTPUT_RATE_HZ))

    def stop(self) -> None:
        """Audio that was not played is discarded (the caller interrupted), or the call is over."""
        self._ends_at_s = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._on_change(False)

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._check)

    def _check(self) -> None:
        left_s = self._ends_at_s - self._clock.monotonic_s()
        if left_s > 0:
            self._wait(left_s)
        else:
            self.stop()
