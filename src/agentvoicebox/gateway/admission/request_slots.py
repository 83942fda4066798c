"""How many requests for speech and transcripts one gateway serves at a time: in all, and of one tenant.

A request waits a little for a slot, the longest waiting first; that of a tenant that has its share, until one of its own is over.
A few seconds are less than a client's own retry costs; a longer queue would only hide that there are too few workers.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from agentvoicebox.errors import AgentVoiceBoxError, Overloaded, RateLimited

MOST = 3
WAIT_S = 10.0
WAITING_PER_SLOT = 4
RETRY_AFTER_S = 2.0

_Waiting = tuple[str, "asyncio.Future[None]"]


class RequestSlots:
    """The slots of one gateway.

    Args:
        most: requests in all; 0: none is served.
        is_shared: whether there may be several tenants; then one has half of the slots, rounded up.
        wait_s: how long a request waits for a slot.
    """

    def __init__(self, most: int = MOST, *, is_shared: bool = False, wait_s: float = WAIT_S) -> None:
        self._most = most
        self._most_of_tenant = (most + 1) // 2 if is_shared else most
        self._wait_s = wait_s
        self._taken: Counter[str] = Counter()
        self._waiting: list[_Waiting] = []
        self._is_free = asyncio.Event()
        self._is_free.set()

    @asynccontextmanager
    async def taken(self, tenant_id: str) -> AsyncIterator[None]:
        """A slot of a tenant, for the duration of the block.

        Raises:
            Overloaded: all are taken. RateLimited: the tenant has as many as it may.
        """
        if self._has_room(tenant_id):
            self._take(tenant_id)
        else:
            await self._wait(tenant_id)
        try:
            yield
        finally:
            self._release(tenant_id)

    async def drain(self, timeout_s: float) -> None:
        """Wait until no request is served any more, for at most `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._is_free.wait()

    async def _wait(self, tenant_id: str) -> None:
        if not self._wait_s or len(self._waiting) >= WAITING_PER_SLOT * self._most:
            raise self._refusal(tenant_id)
        mine: _Waiting = (tenant_id, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        try:
            async with asyncio.timeout(self._wait_s):
                await mine[1]
        except BaseException as error:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:  # it got its slot at this very moment
                self._release(tenant_id)
            if isinstance(error, TimeoutError):
                raise self._refusal(tenant_id) from error
            raise

    def _has_room(self, tenant_id: str) -> bool:
        return self._taken.total() < self._most and self._taken[tenant_id] < self._most_of_tenant

    def _take(self, tenant_id: str) -> None:
        self._taken[tenant_id] += 1
        self._is_free.clear()

    def _release(self, tenant_id: str) -> None:
        self._taken[tenant_id] -= 1
        self._taken += Counter()  # forget tenants without any
        following = next((each for each in self._waiting if self._has_room(each[0])), None)
        if following is not None:
            self._waiting.remove(following)
            self._take(following[0])
            following[1].set_result(None)
        elif not self._taken:
            self._is_free.set()

    def _refusal(self, tenant_id: str) -> AgentVoiceBoxError:
        if self._taken.total() >= self._most:
            return Overloaded(
                f"All {self._most} places for speech and transcripts are taken; please try again in a moment.",
                retry_after_s=RETRY_AFTER_S,
            )
        return RateLimited(
            f"Limit tenant.audio_requests is reached: {self._most_of_tenant} are served at a time. "
            "The limit is set by AVB_MAX_AUDIO_REQUESTS.",
            retry_after_s=RETRY_AFTER_S,
        )
