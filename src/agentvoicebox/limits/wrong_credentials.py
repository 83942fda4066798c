"""Limits guessing: how many wrong credentials a source may show a minute. Right ones are never counted and never refused."""

from agentvoicebox.clock import Clock
from agentvoicebox.errors import TooManyWrongCredentials
from agentvoicebox.limits.memory import SlidingWindow


class WrongCredentials:
    """Counts in this process's memory.

    Args:
        most: a minute and source; 0: no limit.
    """

    def __init__(self, most: int, *, clock: Clock | None = None) -> None:
        self._window = SlidingWindow(most, clock=clock)

    def count(self, source: str) -> None:
        """A request of `source` showed a wrong, unreadable or missing credential.

        Raises:
            TooManyWrongCredentials: so have too many before; this one is answered with when to try again.
        """
        verdict = self._window.admit(source)
        if not verdict.is_admitted:
            raise TooManyWrongCredentials(
                f"Too many wrong credentials from your address. Please try again in {verdict.retry_after_s} s, "
                "or at once with a valid one.",
                retry_after_s=verdict.retry_after_s,
            )
