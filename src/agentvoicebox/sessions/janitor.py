"""Cleans up after sessions whose gateway is gone: deletes every key and announces `closed` (plan A1.5).

Any number of janitors may run; each expired session is announced by one of them.
"""

import asyncio
import contextlib

import structlog

from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import Broker
from agentvoicebox.sessions.directory import SessionDirectory

EVERY_S = 30.0  # plan A1.5

_log = structlog.get_logger(__name__)


class Janitor:
    """Args: the directory that lists expired sessions, and the broker that deletes their data."""

    def __init__(self, directory: SessionDirectory, broker: Broker) -> None:
        self._directory = directory
        self._broker = broker

    async def sweep(self) -> int:
        """Forget every expired session; how many there were for us to close. Raises BrokerLost.

        A session is left while its hash stands. The store drops the hash 30 s after the last heartbeat, by its own clock; then no
        gateway can go on with the session. So a gateway or a janitor whose clock is wrong ends no live session.
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
        while not stop.is_set():
            try:
                await self.sweep()
            except BrokerLost as error:
                _log.warning("can't sweep", error=error.message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()
