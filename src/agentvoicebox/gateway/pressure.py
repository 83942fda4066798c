"""Whether the workers keep up with the calls that are in: when they don't, another call would make all of them worse.

One number a second is enough: how long the oldest job has waited that nobody has taken, or how late the gateway itself is,
whichever is more. Two thresholds and two numbers of looks keep the door from flapping.
"""

# A job is claimed within a few ms while there is a free slot; what waits longer than a turn's whole budget is felt by everybody.
HIGH_S = 0.8
LOW_S = 0.2
HIGH_LOOKS = 2
LOW_LOOKS = 3


class Pressure:
    """A switch with hysteresis.

    Attributes:
        is_high: no further call should come in.
        wait_s: what was last noted.
    """

    def __init__(self, *, high_s: float = HIGH_S, low_s: float = LOW_S) -> None:
        """From `high_s` on it becomes high, from `low_s` down low again."""
        self.is_high = False
        self.wait_s = 0.0
        self._high_s = high_s
        self._low_s = low_s
        self._in_a_row = 0

    def note(self, wait_s: float) -> None:
        """One look."""
        self.wait_s = wait_s
        speaks_against = wait_s <= self._low_s if self.is_high else wait_s >= self._high_s
        self._in_a_row = self._in_a_row + 1 if speaks_against else 0
        if self._in_a_row >= (LOW_LOOKS if self.is_high else HIGH_LOOKS):
            self.is_high, self._in_a_row = not self.is_high, 0
