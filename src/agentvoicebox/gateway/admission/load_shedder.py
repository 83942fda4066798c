"""Refuses new calls while the workers don't keep up with the calls that exist: one more would make all of them worse.

One number per check is enough: how long the oldest unclaimed job has waited, or how late the gateway itself is, whichever is
more. Two thresholds and numbers of checks keep it from oscillating. After an overload it admits calls slowly at first, because
the load of a call is only seen seconds after it was admitted.
"""

# A job is claimed within a few ms while there is a free slot; half a second is most of a turn's whole budget.
HIGH_S = 0.5
LOW_S = 0.15
HIGH_CHECKS = 2
LOW_CHECKS = 6
RECOVERY_CHECKS = 20  # after an overload
RECOVERY_SHARE = 10  # while recovering, a check admits one call per this many existing ones, and one more


class LoadShedder:
    """Admission with hysteresis.

    Attributes:
        is_overloaded: no further call is admitted.
        wait_s: the last observation.
    """

    def __init__(self, *, high_s: float = HIGH_S, low_s: float = LOW_S) -> None:
        """Overloaded from `high_s` on, until the wait is at most `low_s` again."""
        self.is_overloaded = False
        self.wait_s = 0.0
        self._high_s = high_s
        self._low_s = low_s
        self._in_a_row = 0
        self._recovery_checks = 0  # good checks until calls are admitted freely again
        self._admitted = 0  # since the last check, while recovering

    def observe(self, wait_s: float) -> None:
        """The result of one check."""
        self.wait_s = wait_s
        self._admitted = 0
        if not self.is_overloaded and wait_s <= self._low_s:
            self._recovery_checks = max(0, self._recovery_checks - 1)
        is_opposite = wait_s <= self._low_s if self.is_overloaded else wait_s >= self._high_s
        self._in_a_row = self._in_a_row + 1 if is_opposite else 0
        if self._in_a_row >= (LOW_CHECKS if self.is_overloaded else 1 if self._recovery_checks else HIGH_CHECKS):
            self.is_overloaded, self._in_a_row = not self.is_overloaded, 0
            self._recovery_checks = RECOVERY_CHECKS

    def admit(self, calls: int) -> bool:
        """Whether one more call may come in beside `calls` existing ones. An admitted call counts."""
        if self.is_overloaded or (self._recovery_checks and self._admitted > calls // RECOVERY_SHARE):
            return False
        self._admitted += 1
        return True
