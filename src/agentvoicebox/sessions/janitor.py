"""Cleans up after sessions whose gateway is gone: deletes every key and announces `closed` (plan A1.5).

Keys of open sessions have no time to live, so they stay until a janitor comes, however long all of them were away. Keys that
belong to no session any more get one (`leaked_keys`).

Any number of janitors may run; each expired session is announced by one of them.
"""

import asyncio
import contextlib
import itertools

import structlog
from prometheus_client import CollectorRegistry

from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import Broker
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.leaked_keys import LeakedKeys
from agentvoicebox.telemetry.janitor_metrics import JanitorMetrics

EVERY_S = 30.0  # plan A1.5
LEAKS_EVERY_SWEEPS = 20  # ten minutes

_log = structlog.get_logger(__name__)


class Janitor:
    """Args: the directory that lists expired sessions, the broker that deletes their data, who finds leaked keys, and metrics."""

    def __init__(
        self,
        directory: SessionDirectory,
        broker: Broker,
        leaked_keys: LeakedKeys | None = None,
        *,
        metrics: JanitorMetrics | None = None,
    ) -> None:
        self._metrics = metrics or JanitorMetrics(CollectorRegistry())
        self._directory = directory
        self._broker = broker
        self._leaked_keys = leaked_keys

    async def sweep(self) -> int:
        """Forget every expired session; how many there were for us to close. Raises BrokerLost.

        A session is left while its hash says that it lives, by the store's time: until 30 s after the last heartbeat. Then no
        gateway, of any version, can go on with it. So a janitor or a gateway whose clock is wrong ends no live session.
        """
        closed = 0
        for session in await self._directory.expired():
            if await self._directory.find(session) is not None:
                _log.warning("a session that is renewed looks expired; check the clocks", session_id=session.session_id)
                continue
            # Data first: should we die here, the session is still in the directory for the next sweep.
            await self._broker.forget(session)
            if await self._directory.close(session):
                closed += 1
                _log.info("session expired", tenant_id=session.tenant_id, session_id=session.session_id)
        return closed

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep every half minute until `stop`."""
        for number in itertools.count():
            if stop.is_set():
                return
            try:
                ended = await self.sweep()
                if self._leaked_keys is not None and number % LEAKS_EVERY_SWEEPS == 0:
                    leaked = await self._leaked_keys.expire()
                    if leaked:
                        _log.warning("keys of sessions that have ended will expire", count=leaked)
                self._metrics.swept(ended)
            except BrokerLost as error:
                self._metrics.failed()
                _log.warning("can't sweep", error=error.message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()
