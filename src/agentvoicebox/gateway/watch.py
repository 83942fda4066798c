"""Looks around twice a second, and tells every call what it should know. What a look means is `modes`'."""

import asyncio
import contextlib

from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.errors import BrokerLost
from agentvoicebox.gateway.house import House
from agentvoicebox.gateway.modes import Mode
from agentvoicebox.telemetry.logs import get_logger

EVERY_S = 0.5
LOOK_S = 1.5  # a store that takes longer for a glance counts as away

log = get_logger(__name__)


class Watch:
    """One gateway's."""

    def __init__(self, house: House, signs: StoreHealthMonitor, *, every_s: float = EVERY_S) -> None:
        self._house = house
        self._signs = signs
        self._every_s = every_s
        self._told: tuple[str, ...] = ()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while not stop.is_set():
            await self._look(late_s=max(0.0, loop.time() - due_s))
            self._tell()
            due_s = loop.time() + self._every_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await stop.wait()

    async def _look(self, *, late_s: float) -> None:
        around, clock = self._house.around, self._house.clock
        try:
            async with asyncio.timeout(LOOK_S):
                vitals = await self._signs.read()
        except (BrokerLost, TimeoutError):
            around.missed()
            return
        around.looked(vitals, clock.monotonic_s(), late_s=late_s)
        for kind, crew in vitals.worker_pools.items():
            self._house.metrics.queue_age(kind, crew.queue_age_s)

    def _tell(self) -> None:
        house = self._house
        modes = house.around.modes(house.agents.default.language_model)
        if modes != self._told:
            log.warning("what works has changed", degraded=modes)
            self._told = modes
        house.metrics.set_degraded({mode.value: mode.value in modes for mode in Mode}, house.around.pressure.wait_s)
        house.tell()
