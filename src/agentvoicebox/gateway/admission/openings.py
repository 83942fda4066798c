"""How often one tenant may open calls at one gateway: opening one costs some 8 ms of the event loop that all calls share."""

from collections import OrderedDict

from agentvoicebox.clock import Clock
from agentvoicebox.errors import RateLimited
from agentvoicebox.resilience.token_bucket import TokenBucket

CALLS_A_S = 1 / 6  # of all lines: 24 lines are 4 calls a second, many times what callers make
BURST_LINES = 2  # all lines at once, twice: their clients come back when another gateway has died
LEAST_BURST = 20  # of a gateway with few lines
MOST_REMEMBERED = 10_000


class Openings:
    """One gateway's."""

    def __init__(self, lines: int, clock: Clock) -> None:
        """`lines`: most calls of this gateway."""
        self._lines = max(1, lines)
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, tenant_id: str) -> None:
        """A tenant opens or resumes a call. Raises RateLimited, which says when to try again."""
        bucket = self._buckets.get(tenant_id)
        if bucket is None:
            bucket = TokenBucket(max(1.0, self._lines * CALLS_A_S), max(LEAST_BURST, self._lines * BURST_LINES))
            self._buckets[tenant_id] = bucket
            if len(self._buckets) > MOST_REMEMBERED:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(tenant_id)
        wait_s = bucket.try_take(self._clock.monotonic_s())
        if wait_s:
            raise RateLimited(
                f"This account opens too many calls at once. Please try again in {wait_s:.1f} s.", retry_after_s=wait_s
            )
