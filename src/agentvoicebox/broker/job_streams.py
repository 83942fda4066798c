"""The streams that distribute jobs, one per kind, each with one consumer group; and the dead-letter streams.

Knows entries, not jobs: fences, attempts and results are handled in `claims`. Finished jobs leave the stream,
so its length is the open work.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from redis.exceptions import ResponseError

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, Script, StreamEntry, entries_of
from agentvoicebox.broker.envelope import unpack_job
from agentvoicebox.broker.stream_range import StreamRange, raw_entries
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import Job, JobKind, SessionRef

ALL = "all"


class JobStreams:
    """All job streams of one store. Every method raises BrokerLost."""

    def __init__(
        self, connection: Connection, *, on_dead_letter: Callable[[JobKind], None] = lambda kind: None
    ) -> None:
        self._connection = connection
        self._on_dead_letter = on_dead_letter
        self._renew_lease = Script("renew_lease")
        self._requeue = Script("requeue")
        self._queue_age = Script("queue_age")
        self._read_new_within = Script("read_new_within")
        self._range = StreamRange(connection)

    async def read_new(
        self, kind: JobKind, worker: str, *, count: int, block_s: float, most_bytes: int | None = None
    ) -> list[StreamEntry]:
        """Up to `count` new entries, assigned to this worker; waits up to `block_s` for the first.

        With `most_bytes` the entry that crosses it is the last; that takes a round trip more.
        """
        if most_bytes is None:
            return await self._read_new(kind, worker, count, block_s)
        found = await self._read_new(kind, worker, 1, block_s)
        left = most_bytes - sum(len(part) for _, fields in found for part in fields.values())
        if found and count > 1 and left > 0:
            arguments = [keys.group(kind), worker, count - 1, left]
            answer = await self._connection.call(
                lambda: self._read_new_within(self._connection.commands, [keys.job_stream(kind)], arguments)
            )
            found += raw_entries(answer)
        return found

    async def _read_new(self, kind: JobKind, worker: str, count: int, block_s: float) -> list[StreamEntry]:
        stream, group = keys.job_stream(kind), keys.group(kind)

        async def read() -> list[StreamEntry]:
            answer = await self._connection.store.read_group(
                stream, group, worker, count=count, block_ms=max(1, int(block_s * 1000))
            )
            return [entry for _, entries in answer or () for entry in entries_of(entries)]

        async def read_or_create() -> list[StreamEntry]:
            try:
                return await read()
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
            # Read again at once: it is the read that registers the worker, however little of its wait is left.
            await self._create_group(stream, group)
            return await read()

        return await self._connection.wait(read_or_create)

    async def _create_group(self, stream: str, group: str) -> None:
        try:
            await self._connection.commands.xgroup_create(stream, group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # another worker was first
                raise

    async def renew_lease(self, kind: JobKind, worker: str, entry_ids: list[str]) -> None:
        """Reset the idle time of the entries that the worker still holds."""
        arguments = [keys.group(kind), worker, *entry_ids]
        await self._connection.call(
            lambda: self._renew_lease(self._connection.commands, [keys.job_stream(kind)], arguments)
        )

    async def put_back(self, kind: JobKind, worker: str, which: str) -> None:
        """Requeue one entry of a worker, or `ALL` of them; with `ALL` the consumer is deleted, too."""

        async def requeue() -> None:
            try:
                await self._requeue(
                    self._connection.commands, [keys.job_stream(kind)], [keys.group(kind), worker, which]
                )
            except ResponseError as error:
                if "NOGROUP" not in str(error):  # no worker was ever here: nothing to requeue
                    raise

        await self._connection.call(requeue)

    async def remove(self, kind: JobKind, entry_id: str, *, fence: str | None = None) -> None:
        """Acknowledge and delete an entry, and the job's fence where no session's end will delete it."""

        async def remove() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            pipe.xack(keys.job_stream(kind), keys.group(kind), entry_id)
            pipe.xdel(keys.job_stream(kind), entry_id)
            if fence is not None:
                pipe.execute_command("UNLINK", fence)
            await pipe.execute()

        await self._connection.call(remove)

    async def to_dead_letters(self, kind: JobKind, fields: dict[Any, Any]) -> None:
        """Store a dead job where operators can inspect it."""

        async def lay_down() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            pipe.xadd(keys.dead_stream(kind), fields, maxlen=keys.DEAD_MAX, approximate=True)
            pipe.expire(keys.dead_stream(kind), keys.DEAD_TTL_S)
            await pipe.execute()

        await self._connection.call(lay_down)
        self._on_dead_letter(kind)

    async def unfinished(self, kind: JobKind, session: SessionRef, *, most: int, most_bytes: int) -> list[Job]:
        """A session's waiting and running jobs, the oldest first, among the newest `most` (or `most_bytes`) of all sessions."""
        found = await self._range.newest(keys.job_stream(kind), count=most, most_bytes=most_bytes)
        jobs = []
        for _, fields in reversed(found):
            with contextlib.suppress(BrokerLost):  # a damaged job of any session; the worker that claims it tells
                jobs.append(unpack_job(fields.get(b"j", b"")))
        return [job for job in jobs if job.session == session]

    async def live_workers(self, kind: JobKind) -> int:
        """How many of the group's consumers claimed an entry or renewed a lease recently."""

        async def ask() -> list[Any]:
            try:
                consumers: list[Any] = await self._connection.commands.xinfo_consumers(
                    keys.job_stream(kind), keys.group(kind)
                )
            except ResponseError as error:
                if "NOGROUP" in str(error) or "no such key" in str(error):  # no worker was ever here
                    return []
                raise
            return consumers

        return sum(one["idle"] <= keys.ALIVE_FOR_S * 1000 for one in await self._connection.call(ask))

    async def oldest_waiting_ms(self, kind: JobKind) -> int:
        """Age of the oldest entry that no worker has read; 0 when there is none."""
        return int(
            await self._connection.call(
                lambda: self._queue_age(self._connection.commands, [keys.job_stream(kind)], [keys.group(kind)])
            )
        )
