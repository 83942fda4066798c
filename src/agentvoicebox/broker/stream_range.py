"""Reads streams in pages that are bounded in bytes: one page of large entries must not take the memory of a process."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import structlog

from agentvoicebox.broker.connection import Connection, Script, StreamEntry
from agentvoicebox.broker.envelope import parse_stream_id, unpack_result
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import JobResult

PAGE_BYTES = 4 * 1024 * 1024
_RESULTS_COUNT = 512  # a page of short ones
FIRST, LAST = b"-", b"+"

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class StreamRange:
    """Reads streams of one store. Every method raises BrokerLost."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._range = Script("range_within")

    async def after(
        self, stream: str, position: bytes, *, count: int, most_bytes: int = PAGE_BYTES
    ) -> list[StreamEntry]:
        """The entries that follow `position` (an entry's id, or FIRST), the oldest first; empty at the end of the stream.

        Args:
            stream: key of the stream.
            position: the last entry that was read.
            count: entries at most.
            most_bytes: the page ends with the entry that crosses it, so an entry that is larger comes alone or last.
        """
        begin = position if position == FIRST else b"(" + position
        return await self._read(stream, ["XRANGE", begin, LAST, count, most_bytes])

    async def newest(self, stream: str, *, count: int, most_bytes: int) -> list[StreamEntry]:
        """The newest entries, the newest first."""
        return await self._read(stream, ["XREVRANGE", LAST, FIRST, count, most_bytes])

    async def results_of(self, stream: str, position: bytes, job_ids: Collection[str]) -> list[JobResult]:
        """The results of some jobs in a session's stream after `position`, in order."""
        found: list[JobResult] = []
        while entries := await self.after(stream, position, count=_RESULTS_COUNT):
            position = entries[-1][0]
            found += [result for result in readable(entries, b"r", unpack_result) if result.job_id in job_ids]
        return found

    async def _read(self, stream: str, arguments: list[Any]) -> list[StreamEntry]:
        answer = await self._connection.call(lambda: self._range(self._connection.commands, [stream], arguments))
        return raw_entries(answer)


def readable(entries: list[StreamEntry], field: bytes, unpack: Callable[[bytes], _T]) -> list[_T]:
    """What the entries hold. Those that are damaged are left out, with a log line."""
    read = []
    for _, fields in entries:
        try:
            read.append(unpack(fields.get(field, b"")))
        except BrokerLost as error:
            _log.error("a record can't be read", error=error.message)
    return read


def before(entry_id: bytes) -> bytes:
    """The position just before an entry, to read from it on."""
    ms, count = parse_stream_id(entry_id)
    return b"%d-%d" % ((ms, count - 1) if count else (ms - 1, 2**63))


def raw_entries(answer: Any) -> list[StreamEntry]:
    """Stream entries from the answer of a script, which has fields and values in turn."""
    return [(entry_id, dict(zip(parts[::2], parts[1::2], strict=True))) for entry_id, parts in answer]
