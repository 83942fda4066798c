"""How the store and the workers are: who takes jobs, what ails them, how long work waits, how full the store is.

A worker asks for work at least twice a second and says that it lives while it has its hands full, so a consumer group knows who
is there: nobody needs a register of workers. What a worker can't do although it lives (an engine that is away) it writes down
itself, for a few seconds at a time, so that a dead worker's complaint dies with it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import STORE_ERRORS, Connection
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import JobKind

ALL = "*"  # what a worker complains of when nothing of its kind works


class Crew(msgspec.Struct, frozen=True):
    """The workers of one kind.

    Attributes:
        living: their names.
        ailing: of those, what each can't do: names of engines, or `*` for everything.
        queue_age_s: age of the oldest job that nobody has claimed.
    """

    living: frozenset[str] = frozenset()
    ailing: Mapping[str, frozenset[str]] = {}
    queue_age_s: float = 0.0

    def lacks(self, engine: str = "") -> bool:
        """Whether none of them, and there are some, can do this: work with `engine`, or work at all."""
        return bool(self.living) and all(
            bool(self.ailing.get(worker, frozenset()) & {ALL, engine}) for worker in self.living
        )


class Vitals(msgspec.Struct, frozen=True):
    """One look at everything.

    Attributes:
        memory_share: how full the store is (of a cluster its fullest node), 0 to 1; 0.0 when it has no limit.
    """

    crews: Mapping[JobKind, Crew]
    memory_share: float = 0.0


class VitalSigns:
    """Reads and writes them, over one store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def look(self) -> Vitals:
        """What there is to see now, without patience.

        Raises:
            BrokerLost: the store is away, or takes no writes.
        """
        pipe = self._connection.commands.pipeline(transaction=False)
        pipe.set(keys.PROBE, b"", ex=keys.PROBE_TTL_S)
        for kind in JobKind:
            pipe.xinfo_consumers(keys.job_stream(kind), keys.group(kind))
            pipe.hgetall(keys.ailing(kind))
            pipe.xinfo_groups(keys.job_stream(kind))
        store = self._connection.store
        try:
            written, *rest = await self._connection.once(lambda: pipe.execute(raise_on_error=False))
            memories = await self._connection.once(lambda: store.of_each("INFO", "memory"))
            times = await self._connection.once(lambda: store.of_each("TIME"))
        except STORE_ERRORS as error:
            raise BrokerLost(f"the store is away ({type(error).__name__})") from error
        if isinstance(written, Exception):
            raise BrokerLost(f"the store takes no writes ({type(written).__name__})") from written
        waiting = await self._waiting(rest[2::3])
        now_ms = max(seconds * 1000 + micros // 1000 for seconds, micros in times)
        crews = {}
        for place, kind in enumerate(JobKind):
            since_ms = waiting.get(kind)
            age_s = 0.0 if since_ms is None else max(0, now_ms - since_ms) / 1000
            crews[kind] = _crew(rest[3 * place], rest[3 * place + 1], age_s)
        return Vitals(crews, max(memory_share(memory) for memory in memories))

    async def _waiting(self, groups: list[Any]) -> dict[JobKind, int]:
        """When the oldest entry that nobody has read was added, in ms of the store's clock, for kinds that have one."""
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

    async def complain(self, kind: JobKind, worker: str, engines: frozenset[str]) -> None:
        """Write down what a worker can't do; nothing: it is well. Forgotten after a few seconds. Raises BrokerLost."""

        async def write() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            if engines:
                pipe.hset(keys.ailing(kind), worker, ",".join(sorted(engines)))
                pipe.expire(keys.ailing(kind), keys.AILING_TTL_S)
            else:
                pipe.hdel(keys.ailing(kind), worker)
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


def _crew(consumers: Any, complaints: Any, queue_age_s: float) -> Crew:
    """A kind that never had a worker has no stream, which the store answers with an error: then nobody is there."""
    if not isinstance(consumers, list):
        return Crew(queue_age_s=queue_age_s)
    living = frozenset(each["name"].decode() for each in consumers if each["idle"] <= keys.LIVING_S * 1000)
    told = complaints if isinstance(complaints, dict) else {}
    ailing = {name.decode(): frozenset(engines.decode().split(",")) for name, engines in told.items()}
    return Crew(living, {name: engines for name, engines in ailing.items() if name in living}, queue_age_s)
