"""Health of the store and the workers: live workers, unavailable engines, queue age, memory use.

A worker claims jobs at least twice a second and sends heartbeats while it is busy, so a consumer group knows its live workers
without a registry. A live worker that lacks an engine reports this itself, with a few seconds of time to live, so that
the report of a dead worker expires.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import STORE_ERRORS, Connection
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import JobKind

ALL = "*"  # reported when no engine of the worker works
OF_KIND = 4  # answers of a kind


class WorkerPool(msgspec.Struct, frozen=True):
    """The workers of one kind.

    Attributes:
        alive: their names.
        unhealthy: the engines that each of them lacks; `*` for all.
        queue_age_s: age of the oldest unclaimed job.
        queue_depth: number of unclaimed jobs.
    """

    alive: frozenset[str] = frozenset()
    unhealthy: Mapping[str, frozenset[str]] = {}
    queue_age_s: float = 0.0
    queue_depth: int = 0

    def lacks(self, engine: str = "") -> bool:
        """Whether there are workers, and none of them can do this: work with `engine`, or work at all."""
        return bool(self.alive) and all(
            bool(self.unhealthy.get(worker, frozenset()) & {ALL, engine}) for worker in self.alive
        )


class StoreHealth(msgspec.Struct, frozen=True):
    """The health of everything at one moment.

    Attributes:
        memory_share: memory use of the store (of a cluster its fullest node), 0 to 1; 0.0 when it has no limit.
    """

    worker_pools: Mapping[JobKind, WorkerPool]
    memory_share: float = 0.0


class StoreHealthMonitor:
    """Reads and writes health reports, over one store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self) -> StoreHealth:
        """The present health, without retries.

        Raises:
            BrokerLost: the store is away, or accepts no writes.
        """
        pipe = self._connection.commands.pipeline(transaction=False)
        pipe.set(keys.PROBE, b"", ex=keys.PROBE_TTL_S)
        for kind in JobKind:
            pipe.xinfo_consumers(keys.job_stream(kind), keys.group(kind))
            pipe.hgetall(keys.unhealthy(kind))
            pipe.xinfo_groups(keys.job_stream(kind))
            pipe.xlen(keys.job_stream(kind))
        store = self._connection.store
        try:
            written, *rest = await self._connection.once(lambda: pipe.execute(raise_on_error=False))
            memories = await self._connection.once(lambda: store.on_each_node("INFO", "memory"))
            times = await self._connection.once(lambda: store.on_each_node("TIME"))
        except STORE_ERRORS as error:
            raise BrokerLost(f"the store is away ({type(error).__name__})") from error
        if isinstance(written, Exception):
            raise BrokerLost(f"the store accepts no writes ({type(written).__name__})") from written
        waiting = await self._waiting(rest[2::OF_KIND])
        now_ms = max(seconds * 1000 + micros // 1000 for seconds, micros in times)
        pools = {}
        for index, kind in enumerate(JobKind):
            since_ms = waiting.get(kind)
            age_s = 0.0 if since_ms is None else max(0, now_ms - since_ms) / 1000
            consumers, unhealthy, groups, length = rest[OF_KIND * index : OF_KIND * (index + 1)]
            pool = _worker_pool(consumers, unhealthy, age_s)
            pools[kind] = msgspec.structs.replace(pool, queue_depth=_unclaimed(length, groups, keys.group(kind)))
        return StoreHealth(pools, max(memory_share(memory) for memory in memories))

    async def _waiting(self, groups: list[Any]) -> dict[JobKind, int]:
        """When the oldest unread entry was added, in ms of the store's clock, for kinds that have one."""
        pipe = self._connection.commands.pipeline(transaction=False)
        for kind, known in zip(JobKind, groups, strict=True):
            last = _last_delivered(known, keys.group(kind))
            pipe.xrange(keys.job_stream(kind), min=f"({last}" if last else "-", count=1)
        try:
            answers = await self._connection.once(lambda: pipe.execute(raise_on_error=False))
        except STORE_ERRORS as error:
            raise BrokerLost(f"the store is away ({type(error).__name__})") from error
        first = {kind: entries[0][0] for kind, entries in zip(JobKind, answers, strict=True) if _is_some(entries)}
        return {kind: int(entry_id.partition(b"-")[0]) for kind, entry_id in first.items()}

    async def report_unhealthy(self, kind: JobKind, worker: str, engines: frozenset[str]) -> None:
        """Report the engines that a worker lacks; none: it is healthy. Expires after a few seconds. Raises BrokerLost."""

        async def write() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            if engines:
                pipe.hset(keys.unhealthy(kind), worker, ",".join(sorted(engines)))
                pipe.expire(keys.unhealthy(kind), keys.UNHEALTHY_TTL_S)
            else:
                pipe.hdel(keys.unhealthy(kind), worker)
            await pipe.execute()

        await self._connection.call(write)


def memory_share(memory: Mapping[str, Any]) -> float:
    """Share of the limit, 0 to 1, as the store itself counts before it evicts.

    Buffers of its log file and of its replicas are left out: a slow disk fills them for a moment, and they evict nothing.

    Args:
        memory: the answer of INFO memory.
    """
    limit = memory.get("maxmemory", 0)
    counted = memory["used_memory"] - memory.get("mem_not_counted_for_evict", 0)
    return float(counted / limit) if limit else 0.0


def _is_some(answer: object) -> bool:
    return isinstance(answer, list) and bool(answer)


def _last_delivered(groups: Any, group: str) -> str:
    if isinstance(groups, ResponseError) or not isinstance(groups, list):
        return ""
    found = next((each for each in groups if each["name"] == group.encode()), None)
    return "" if found is None else found["last-delivered-id"].decode()


def _unclaimed(length: Any, groups: Any, group: str) -> int:
    """Entries that no worker holds: ended jobs leave their stream."""
    if not isinstance(length, int):
        return 0
    known = groups if isinstance(groups, list) else []
    return max(0, length - sum(int(each["pending"]) for each in known if each["name"] == group.encode()))


def _worker_pool(consumers: Any, unhealthy_of: Any, queue_age_s: float) -> WorkerPool:
    """A kind that never had a worker has no stream, and the store answers with an error: then there are no workers."""
    if not isinstance(consumers, list):
        return WorkerPool(queue_age_s=queue_age_s)
    alive = frozenset(
        each["name"].decode(errors="replace") for each in consumers if each["idle"] <= keys.ALIVE_FOR_S * 1000
    )
    reports = unhealthy_of if isinstance(unhealthy_of, dict) else {}
    read = {name.decode(errors="replace"): engines.decode(errors="replace") for name, engines in reports.items()}
    unhealthy = {name: frozenset(engines.split(",")) for name, engines in read.items()}
    return WorkerPool(alive, {name: engines for name, engines in unhealthy.items() if name in alive}, queue_age_s)
