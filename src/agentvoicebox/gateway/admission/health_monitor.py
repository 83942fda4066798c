"""Checks the services beside the calls twice a second and publishes the result. `service_health` decides what it means."""

import asyncio
import contextlib
from collections.abc import Callable

from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.clock import Clock
from agentvoicebox.errors import BrokerLost
from agentvoicebox.gateway.admission.service_health import Mode, ServiceHealth
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.metrics import Metrics

INTERVAL_S = 0.5
# Frames that are 50 ms late are as bad a sign as a job that waits for half a second: within its capacity a gateway takes each
# at once.
FRAMES_WEIGHT = 10.0
TIMEOUT_S = 1.5  # a store that takes longer for a check counts as away

log = get_logger(__name__)


class HealthMonitor:
    """One gateway's.

    Args:
        health: what is updated.
        store_health: where workers and the store are checked.
        on_checked: called after each check.
        language_model: the default agent's; its state appears in metrics and logs.
        interval_s: between two checks.
        frames_late_s: how late callers' frames were taken since it was last asked, on average.
    """

    def __init__(
        self,
        health: ServiceHealth,
        store_health: StoreHealthMonitor,
        on_checked: Callable[[], None],
        *,
        language_model: str,
        clock: Clock,
        metrics: Metrics,
        interval_s: float = INTERVAL_S,
        frames_late_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._health = health
        self._store_health = store_health
        self._on_checked = on_checked
        self._language_model = language_model
        self._clock = clock
        self._metrics = metrics
        self._interval_s = interval_s
        self._frames_late_s = frames_late_s
        self._modes: tuple[str, ...] = ()
        self._memory_level = health.memory_level

    async def run(self, stop: asyncio.Event) -> None:
        """Check until `stop`."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while not stop.is_set():
            late_s = max(0.0, loop.time() - due_s, FRAMES_WEIGHT * self._frames_late_s())
            await self._check(late_s=late_s)
            self._publish()
            due_s = loop.time() + self._interval_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await stop.wait()

    async def _check(self, *, late_s: float) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                store = await self._store_health.read()
        except (BrokerLost, TimeoutError):
            self._health.store_failed()
            return
        self._health.update(store, self._clock.monotonic_s(), late_s=late_s)
        for kind, pool in store.worker_pools.items():
            self._metrics.set_queue(kind, age_s=pool.queue_age_s, depth=pool.queue_depth)

    def _publish(self) -> None:
        modes = self._health.modes(self._language_model)
        if modes != self._modes:
            log.warning("degraded modes have changed", degraded=modes)
            self._modes = modes
        health = self._health
        if health.memory_level is not self._memory_level:
            self._memory_level = health.memory_level
            level, share = self._memory_level.name.lower(), round(health.memory_share, 2)
            log.warning("the level of the store's memory has changed", level=level, memory_share=share)
        self._metrics.set_store_memory(health.memory_share, int(health.memory_level))
        self._metrics.set_degraded({mode.value: mode.value in modes for mode in Mode}, self._health.load.wait_s)
        self._on_checked()
