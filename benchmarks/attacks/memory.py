"""What the gateway and the store hold while an attack runs: resident memory, and Valkey's own count, sampled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.attacks.server import AttackedServer
from tests.kit.processes import family

EVERY_S = 0.25
MB = 1_000_000


class MemoryWatch:
    """Samples of one server.

    Attributes:
        gateway_peak_mb, store_peak_mb: the highest sample.
    """

    def __init__(self, server: AttackedServer) -> None:
        self._server = server
        self.gateway_peak_mb = 0.0
        self.store_peak_mb = 0.0

    def gateway_mb(self) -> float:
        """Resident memory of the gateway now; 0 when there is none."""
        pid = self._server.pid("gateway")
        found = next((member.rss_kb for member in family(pid) if member.pid == pid), 0) if pid else 0
        return found * 1_000 / MB

    async def store_mb(self) -> float:
        """What Valkey counts as used; 0 when it does not answer."""
        told = await asyncio.to_thread(self._server.store_info, "memory")
        return told.get("used_memory", 0.0) / MB

    async def evicted(self) -> int:
        """Keys that Valkey has thrown away for want of memory."""
        return int((await asyncio.to_thread(self._server.store_info, "stats")).get("evicted_keys", 0.0))

    @asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Keep the peaks while in this block."""
        sampling = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)

    async def _sample(self) -> None:
        while True:
            self.gateway_peak_mb = max(self.gateway_peak_mb, await asyncio.to_thread(self.gateway_mb))
            self.store_peak_mb = max(self.store_peak_mb, await self.store_mb())
            await asyncio.sleep(EVERY_S)
