"""How often one tenant may open calls at one gateway: opening one costs some 8 ms of the event loop that all calls share."""

from agentvoicebox.clock import Clock
from agentvoicebox.errors import RateLimited
from agentvoicebox.resilience.bucket_table import BucketTable
from agentvoicebox.resilience.token_bucket import TokenBucket

CALLS_A_S = 1 / 6  # of all lines: 24 lines are 4 calls a second, many times what callers make
BURST_LINES = 2  # all lines at once, twice: their clients come back when another gateway has died
LEAST_BURST = 20  # of a gateway with few lines
# New calls; further ones begin one after the other, so that open calls of others don't wait for all of them.
AT_ONCE = 3
BEGUN_A_S = 0.4  # of all lines: 24 calls that come together have all begun after 2.2 s


class Openings:
    """One gateway's."""

    def __init__(self, lines: int, clock: Clock) -> None:
        """`lines`: most calls of this gateway."""
        lines = max(1, lines)
        self._clock = clock
        # Of each tenant: all calls, and new ones.
        self._buckets = BucketTable(
            lambda: (
                TokenBucket(max(1.0, lines * CALLS_A_S), max(LEAST_BURST, lines * BURST_LINES)),
                TokenBucket(max(AT_ONCE, lines * BEGUN_A_S), AT_ONCE),
            )
        )

    def take(self, tenant_id: str, *, is_new: bool = True) -> float:
        """A tenant opens or resumes a call. Returns for how many seconds a new call has to wait before it begins.

        A resumed call does not wait: its caller hears the gap.

        Raises:
            RateLimited: too many; it says when to try again.
        """
        opened, begun = self._buckets.of(tenant_id)
        now_s = self._clock.monotonic_s()
        wait_s = opened.try_take(now_s)
        if wait_s:
            raise RateLimited(
                f"This account opens too many calls at once. Please try again in {wait_s:.1f} s.", retry_after_s=wait_s
            )
        return begun.take(now_s) if is_new else 0.0
