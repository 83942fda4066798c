"""The only file that reads a clock.

Two kinds of time: `monotonic_s` for timers and latency within a process, `wall_s` for records and for latency across
processes. Caller audio has a third kind (samples) and lives in `audio`.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """A source of time."""

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary start; never goes back."""

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC."""


class SystemClock:
    """The machine's clocks."""

    def monotonic_s(self) -> float:
        """See Clock."""
        return time.monotonic()

    def wall_s(self) -> float:
        """See Clock."""
        return time.time()


class ManualClock:
    """A clock that a test sets. Both times advance together; wall time starts at `wall_s`."""

    def __init__(self, now_s: float = 0.0, wall_s: float = 1_700_000_000.0) -> None:
        self._now_s = now_s
        self._wall_offset_s = wall_s - now_s

    def monotonic_s(self) -> float:
        """See Clock."""
        return self._now_s

    def wall_s(self) -> float:
        """See Clock."""
        return self._now_s + self._wall_offset_s

    def advance(self, seconds: float) -> None:
        """Move both clocks forward. Raises ValueError for a negative step."""
        if seconds < 0:
            raise ValueError(f"a clock can't go back ({seconds} s)")
        self._now_s += seconds
