"""How late the gateway takes its callers' frames, on average over all calls since it was last asked.

Past its capacity a gateway falls behind its sockets long before a job waits. So it refuses new calls by this, too.
"""


class FrameLateness:
    """One gateway's."""

    def __init__(self) -> None:
        """Nothing was late so far."""
        self._sum_s = 0.0
        self._frames = 0

    def note(self, late_s: float) -> None:
        """A frame was taken `late_s` after it had arrived."""
        self._sum_s += late_s
        self._frames += 1

    def take(self) -> float:
        """The average of the frames since the last call, in seconds; 0.0 without any."""
        average_s = self._sum_s / self._frames if self._frames else 0.0
        self._sum_s, self._frames = 0.0, 0
        return average_s
