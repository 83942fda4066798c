"""Whether a process that runs is hung: it has shown no sign of life for too long.

The supervisor's own clock decides. Time in which the supervisor itself did not run (a suspended machine, a stopped group) is not
counted against the others: after such a gap each of them gets its whole time again.
"""

import asyncio

from agentvoicebox.clock import Clock, SystemClock

TICK_S = 1.0
GAP_S = 5.0  # a tick that comes this late: this process did not run


class Liveness:
    """Signs of life of one process. Nothing is hung before its first sign, so a process may take its time to start.

    Args:
        hung_after_s: seconds of silence after which the process counts as hung.
        clock: monotonic time.
    """

    def __init__(self, hung_after_s: float, *, clock: Clock | None = None) -> None:
        self._hung_after_s = hung_after_s
        self._clock = clock or SystemClock()
        self._heard_s: float | None = None
        self._ticked_s = self._clock.monotonic_s()

    @property
    def has_begun(self) -> bool:
        """Whether there was a sign of life."""
        return self._heard_s is not None

    def heard(self) -> None:
        """Note a sign of life."""
        self._heard_s = self._clock.monotonic_s()

    def silent_s(self) -> float:
        """Seconds since the last sign of life that count; 0 before the first. Call it every `TICK_S`."""
        now_s = self._clock.monotonic_s()
        gap_s, self._ticked_s = now_s - self._ticked_s, now_s
        if self._heard_s is None:
            return 0.0
        if gap_s > GAP_S:
            self._heard_s = now_s
        return now_s - self._heard_s

    async def until_hung(self) -> float:
        """Wait until the process is hung; the seconds of its silence."""
        while True:
            silent_s = self.silent_s()
            if silent_s >= self._hung_after_s:
                return silent_s
            await asyncio.sleep(TICK_S)
