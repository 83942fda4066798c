"""Finds keys of sessions that no longer exist, and gives them a time to live.

The keys of an open session have none. They are deleted when it ends; but a process may die at the wrong moment, and a gateway of
an earlier version leaves what it doesn't know. A key that is wrongly found here loses nothing: an open session makes its keys
lasting again whenever it writes.
"""

from typing import Any

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection

SCAN_COUNT = 1000  # keys per step: well below a millisecond of the store


class LeakedKeys:
    """Args: connection: to the store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def expire(self) -> int:
        """Give every lasting key of a session that is not in the directory a time to live; how many. Raises BrokerLost."""
        return await self._connection.call(self._expire)

    async def _expire(self) -> int:
        found, batch = 0, list[str]()
        async for raw in self._connection.commands.scan_iter(match=keys.OF_SESSIONS, count=SCAN_COUNT):
            batch.append(raw.decode())
            if len(batch) == SCAN_COUNT:
                found += await self._expire_some(batch)
                batch = []
        return found + await self._expire_some(batch)

    async def _expire_some(self, batch: list[str]) -> int:
        owners = {key: session for key in batch if (session := keys.session_of(key)) is not None}
        if not owners:
            return 0
        pipe = self._connection.commands.pipeline(transaction=False)
        for key, session in owners.items():
            pipe.ttl(key)
            pipe.zscore(keys.LIVE_SESSIONS, f"{session.tenant_id}/{session.session_id}")
        answers: list[Any] = await pipe.execute()
        leaked = [
            key
            for key, ttl, live in zip(owners, answers[::2], answers[1::2], strict=True)
            if ttl == -1 and live is None
        ]
        pipe = self._connection.commands.pipeline(transaction=False)
        for key in leaked:
            pipe.expire(key, keys.SESSION_DATA_TTL_S)
        if leaked:
            await pipe.execute()
        return len(leaked)
