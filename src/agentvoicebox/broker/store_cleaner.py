"""What was deleted from the store leaves its disk, too: the append-only file is rewritten in time.

The file holds every command, so also what callers said in calls that have ended, until the server rewrites it. By itself a server
does that by size alone. Old dead letters are deleted here before, because their stream as a whole lives as long as letters come.

Any number of processes may run this: the time of the last rewrite is in the store.
"""

import asyncio
import contextlib
from typing import Any

import structlog
from redis.exceptions import ResponseError

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import JobKind

CHECK_EVERY_S = 60.0
# Counted by the server, also inside of scripts. What it deletes by time to live or for want of memory, it counts elsewhere.
_DELETING = ("del", "unlink", "getdel", "xdel", "hdel")

_log = structlog.get_logger(__name__)


class StoreCleaner:
    """Cleans one store, every node of it.

    Args:
        every_s: least seconds between two rewrites; 0: the server alone decides when it rewrites.
        clock: wall time.
    """

    def __init__(self, connection: Connection, *, every_s: float, clock: Clock | None = None) -> None:
        self._connection = connection
        self._every_s = every_s
        self._clock = clock or SystemClock()
        self._deletions: list[int] = []  # of each node, at the last rewrite; empty when one is due
        self._is_refused = False

    async def clean(self) -> bool:
        """Delete old dead letters, and have the file rewritten when it is due; whether it was. Raises BrokerLost."""
        await self._delete_old_letters()
        if not self._every_s or self._is_refused or not await self._is_time():
            return False
        nodes = await self._connection.call(self._look)
        deletions = [_deletions(info) for info in nodes]
        is_running = any(info.get("aof_rewrite_in_progress") for info in nodes)  # it began before the last deletions
        has_failed = any(info.get("aof_last_bgrewrite_status", "ok") != "ok" for info in nodes)
        has_file = any(info.get("aof_enabled") for info in nodes)
        if not has_file or is_running or not (has_failed or deletions != self._deletions):
            return False
        await self._connection.call(
            lambda: self._connection.commands.set(keys.REWRITTEN, self._clock.wall_s(), ex=keys.REWRITTEN_TTL_S)
        )
        if refusal := await self._connection.call(self._rewrite):
            self._is_refused = True
            _log.warning(
                "the store refuses to rewrite its append-only file: it keeps words of ended calls", error=refusal
            )
            return False
        self._deletions = deletions
        return True

    async def run(self, stop: asyncio.Event) -> None:
        """Clean every minute until `stop`."""
        while not stop.is_set():
            try:
                await self.clean()
            except BrokerLost as error:
                _log.warning("can't clean the store", error=error.message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY_S):
                    await stop.wait()

    async def _is_time(self) -> bool:
        last: Any = await self._connection.call(lambda: self._connection.commands.get(keys.REWRITTEN))
        return last is None or abs(self._clock.wall_s() - float(last)) >= self._every_s

    async def _delete_old_letters(self) -> None:
        oldest_ms = int((self._clock.wall_s() - keys.DEAD_TTL_S) * 1000)

        async def trim() -> int:
            pipe = self._connection.commands.pipeline(transaction=False)
            for kind in JobKind:
                pipe.xtrim(keys.dead_stream(kind), minid=oldest_ms, approximate=False)
            deleted: list[int] = await pipe.execute()
            return sum(deleted)

        if await self._connection.call(trim):
            self._deletions = []

    async def _look(self) -> list[dict[str, Any]]:
        return await self._connection.store.on_each_node("INFO", "persistence", "stats", "commandstats")

    async def _rewrite(self) -> str:
        """Why it is refused, or an empty text."""
        try:
            await self._connection.store.on_each_node("BGREWRITEAOF")
        except ResponseError as error:
            return str(error)
        return ""


def _deletions(info: dict[str, Any]) -> int:
    """How often the server has deleted something since it started."""
    by_command = sum(int(info.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in _DELETING)
    return by_command + int(info.get("expired_keys", 0)) + int(info.get("evicted_keys", 0))
