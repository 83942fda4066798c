"""Whether the workers keep up with the calls that are in: when they don't, another call would make all of them worse.

One number a look is enough: how long the oldest job has waited that nobody has taken, or how late the gateway itself is,
whichever is more. Two marks and numbers of looks keep the door from flapping; after a jam it opens by a gap, since what a call
will ask for is felt only seconds after it was let in.
"""

# A job is claimed within a few ms while there is a free slot; half a second is most of a turn's whole budget.
HIGH_S = 0.5
LOW_S = 0.15
HIGH_LOOKS = 2
LOW_LOOKS = 6
WARY_LOOKS = 20  # after a jam
WARY_SHARE = 10  # one new call a look for so many that are there, and one more


class Pressure:
    """A door with hysteresis.

    Attributes:
        is_high: no further call comes in.
        wait_s: what was last noted.
    """

    def __init__(self, *, high_s: float = HIGH_S, low_s: float = LOW_S) -> None:
        """From `high_s` on it becomes high, from `low_s` down low again."""
        self.is_high = False
        self.wait_s = 0.0
        self._high_s = high_s
        self._low_s = low_s
        self._in_a_row = 0
        self._wary_looks = 0  # calm looks until the door is wide open again
        self._let_in = 0  # since the last look, while wary

    def note(self, wait_s: float) -> None:
        """One look."""
        self.wait_s = wait_s
        self._let_in = 0
        if not self.is_high and wait_s <= self._low_s:
            self._wary_looks = max(0, self._wary_looks - 1)
        speaks_against = wait_s <= self._low_s if self.is_high else wait_s >= self._high_s
        self._in_a_row = self._in_a_row + 1 if speaks_against else 0
        if self._in_a_row >= (LOW_LOOKS if self.is_high else 1 if self._wary_looks else HIGH_LOOKS):
            self.is_high, self._in_a_row = not self.is_high, 0
            self._wary_looks = WARY_LOOKS

    def let_in(self, calls: int) -> bool:
        """Ask for one more call, beside so many; a yes counts."""
        if self.is_high or (self._wary_looks and self._let_in > calls // WARY_SHARE):
            return False
        self._let_in += 1
        return True
