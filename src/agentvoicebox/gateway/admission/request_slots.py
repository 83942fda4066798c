"""How many requests for speech and transcripts one gateway serves at a time: in all, and of one tenant."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agentvoicebox.errors import Overloaded, RateLimited

RETRY_AFTER_S = 2.0
MOST = 8


class RequestSlots:
    """The slots of one gateway.

    Args:
        most: requests in all; 0: none is served.
        is_shared: whether there may be several tenants; then one has half of the slots at most.
    """

    def __init__(self, most: int = MOST, *, is_shared: bool = False) -> None:
        self._most = most
        self._most_of_tenant = max(1, most // 2) if is_shared else most
        self._taken: Counter[str] = Counter()
        self._is_free = asyncio.Event()
        self._is_free.set()

    @contextmanager
    def taken(self, tenant_id: str) -> Iterator[None]:
        """A slot of a tenant, for the duration of the block.

        Raises:
            Overloaded: all are taken. RateLimited: the tenant has as many as it may.
        """
        if self._taken.total() >= self._most:
            raise Overloaded(
                f"All {self._most} places for speech and transcripts are taken; please try again in a moment.",
                retry_after_s=RETRY_AFTER_S,
            )
        if self._taken[tenant_id] >= self._most_of_tenant:
            raise RateLimited(
                f"Limit tenant.audio_requests is reached: {self._most_of_tenant} are served at a time. "
                "The limit is set by AVB_MAX_AUDIO_REQUESTS.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._taken[tenant_id] += 1
        self._is_free.clear()
        try:
            yield
        finally:
            self._taken[tenant_id] -= 1
            self._taken += Counter()  # forget tenants without any
            if not self._taken:
                self._is_free.set()

    async def drain(self, timeout_s: float) -> None:
        """Wait until no request is served any more, for at most `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._is_free.wait()
