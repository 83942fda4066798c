"""Whether agent audio is playing at the caller now, and whether it asks something, for the turn detector.

Audio is sent faster than it is played. This follows the playback in real time, as the engine does for itself (`engine.playout`).
"""

import asyncio
from collections.abc import Callable

from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.clock import Clock

ANSWERS_EARLY_S = 0.4  # before a question begins: a caller who knows what comes answers at its first words


class PlaybackClock:
    """One caller's. `on_change` is called with True when playback begins and False when it ends."""

    def __init__(self, on_change: Callable[[bool], None], clock: Clock) -> None:
        self._on_change = on_change
        self._clock = clock
        self._ends_at_s = 0.0
        self._asks_from_s: float | None = None  # the last thing sent is a question, and is played from then on
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_playing(self) -> bool:
        """Whether audio is playing at the caller."""
        return self._timer is not None

    @property
    def is_asking(self) -> bool:
        """Whether the question that the agent's words end with is playing, or was the last that played."""
        return self._asks_from_s is not None and self._clock.monotonic_s() >= self._asks_from_s - ANSWERS_EARLY_S

    def play(self, sample_count: int, *, is_question: bool = False) -> None:
        """More audio was sent: `sample_count` samples at 24 kHz, as part of a question or not."""
        now_s = self._clock.monotonic_s()
        starts_at_s = max(self._ends_at_s, now_s)
        self._ends_at_s = starts_at_s + sample_count / OUTPUT_RATE_HZ
        if not is_question:
            self._asks_from_s = None
        elif self._asks_from_s is None:
            self._asks_from_s = starts_at_s
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
