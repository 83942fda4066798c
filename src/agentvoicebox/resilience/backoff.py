"""How long to wait before a retry: exponential, bounded, with jitter from a number that the caller drew."""

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """A schedule of waits.

    Attributes:
        first_s: the first wait.
        factor: each wait is this many times the one before.
        longest_s: the upper bound of a wait.
        tries: total number of attempts; 1 means no retry.
        spread: jitter: the part of a wait that may be removed at random, 0 (none) to 1 (all); it keeps clients out of step.
    """

    first_s: float = 0.1
    factor: float = 2.0
    longest_s: float = 2.0
    tries: int = 3
    spread: float = 0.0

    def wait_s(self, failures: int, chance: float = 0.0) -> float | None:
        """Seconds to wait after the `failures`-th failure; None when it was the last attempt.

        Args:
            failures: how many attempts failed so far, from 1.
            chance: 0 to 1, drawn anew for each wait.
        """
        if failures >= self.tries:
            return None
        try:
            wait_s = self.first_s * self.factor ** (failures - 1)
        except OverflowError:
            wait_s = self.longest_s
        return min(wait_s, self.longest_s) * (1.0 - self.spread * chance)
