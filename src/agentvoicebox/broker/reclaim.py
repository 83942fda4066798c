"""Detects jobs whose worker is dead, and takes them over.

A live worker resets the idle time of its entries every half second. An entry idle for longer than
`idle_s` has lost its worker. After an outage of the store every worker looks dead: then nothing is taken for one idle
period, so that each worker can send its heartbeat.
"""

import asyncio
from typing import Any

from redis.exceptions import ResponseError

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, Script, StreamEntry, entries_of
from agentvoicebox.broker.stream_range import raw_entries
from agentvoicebox.ports.broker import JobKind


class Reclaimer:
    """Takes over entries of dead workers, for one process.

    Args:
        idle_s: silence after which a worker counts as dead.
    """

    def __init__(self, connection: Connection, *, idle_s: float) -> None:
        self._connection = connection
        self._idle_s = idle_s
        self._outages_seen = 0
        self._next_s: dict[JobKind, float] = {}
        self._claim_within = Script("claim_within")

    def is_due(self, kind: JobKind) -> bool:
        """Whether it is time to check again (four times per idle period)."""
        now_s = asyncio.get_running_loop().time()
        if self._outages_seen != self._connection.outages:
            self._outages_seen = self._connection.outages
            for each in JobKind:
                self._next_s[each] = now_s + self._idle_s
        return now_s >= self._next_s.get(kind, 0.0)

    @property
    def longest_wait_s(self) -> float:
        """How long a claim may wait for new work before it must check for dead workers again."""
        return self._idle_s / 4

    async def reclaim(
        self, kind: JobKind, worker: str, *, count: int, held: set[bytes], most_bytes: int | None = None
    ) -> list[StreamEntry]:
        """Up to `count` entries of dead workers, assigned to this worker. The entry that crosses `most_bytes` is the last.

        Entries in `held` are left out: this worker holds them itself, and a stalled event loop must not reclaim its own jobs.
        """
        stream, group = keys.job_stream(kind), keys.group(kind)
        self._next_s[kind] = asyncio.get_running_loop().time() + self._idle_s / 4
        idle_ms = max(1, int(self._idle_s * 1000))
        redis = self._connection.commands
        try:
            pending = await redis.xpending_range(stream, group, min="-", max="+", count=count + len(held), idle=idle_ms)
        except ResponseError as error:
            if "NOGROUP" in str(error):
                return []
            raise
        ids: list[Any] = [one["message_id"] for one in pending if one["message_id"] not in held][:count]
        if not ids:
            return []
        if most_bytes is not None:
            seen, answer = await self._claim_within(redis, [stream], [group, worker, idle_ms, most_bytes, *ids])
            if seen < len(ids):
                self._next_s[kind] = 0.0  # the rest is due at once
            return raw_entries(answer)
        # min_idle_time again: of two workers that saw the same dead worker, one gets the entry.
        claimed = await redis.xclaim(stream, group, worker, min_idle_time=idle_ms, message_ids=ids)
        return entries_of(claimed)
