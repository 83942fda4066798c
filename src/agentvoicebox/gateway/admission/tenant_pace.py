"""How many REST requests a second one tenant makes at one gateway: more wait, so that its neighbours' calls don't."""

import asyncio

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import RateLimited
from agentvoicebox.resilience.bucket_table import BucketTable
from agentvoicebox.resilience.token_bucket import TokenBucket

BURST_S = 2.0
LONGEST_WAIT_S = 5.0  # most clients give up soon after


class TenantPace:
    """One gateway's. Args: per_s: requests a second of each tenant; 0: no limit."""

    def __init__(self, per_s: float = 0.0, *, clock: Clock | None = None) -> None:
        self._per_s = per_s
        self._clock = clock or SystemClock()
        self._buckets = BucketTable(lambda: TokenBucket(per_s, per_s * BURST_S))

    async def wait(self, tenant_id: str) -> None:
        """Return when it is this tenant's turn.

        Raises:
            RateLimited: it would have to wait too long.
        """
        if not self._per_s:
            return
        bucket = self._buckets.of(tenant_id)
        wait_s = bucket.take(self._clock.monotonic_s())
        if wait_s > LONGEST_WAIT_S:
            bucket.give_back(1)
            raise RateLimited(
                f"Limit tenant.rate is reached: {self._per_s:g} REST requests a second. Please try again in {wait_s:.1f} s. "
                "The limit is set by AVB_LIMIT_TENANT_RATE.",
                retry_after_s=wait_s,
            )
        if wait_s:
            await asyncio.sleep(wait_s)
