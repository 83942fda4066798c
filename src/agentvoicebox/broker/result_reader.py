"""One session's results in order, each once: announced ones at once, missed ones from the durable streams.

Invariant: a result is delivered when its stream entry lies beyond the last one delivered from that stream. Announcements
carry the entry id, so a result that arrives both ways is delivered once. A gap in a job's numbers, a lost connection, or a
consumer too slow for its queue make the reader read the streams again, from its last position.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

import structlog

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import LONGEST_PAUSE_S, Connection
from agentvoicebox.broker.envelope import StreamId, parse_stream_id, unpack_result
from agentvoicebox.broker.light_event import LightEvent
from agentvoicebox.broker.stream_range import StreamRange
from agentvoicebox.broker.subscriber import Subscriber
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import JobKind, JobResult, SessionRef

_log = structlog.get_logger(__name__)

QUEUE_MAX = 256  # announcements queued for a slow consumer; beyond it they are read from the streams
READ_COUNT = 128  # results per round trip when reading from a stream; some 600 KB of audio, and never beyond a page


class ResultReader:
    """See `ports.broker.ResultStream`. Created by the broker; call `open` before use."""

    def __init__(self, connection: Connection, subscriber: Subscriber, session: SessionRef) -> None:
        self._connection = connection
        self._subscriber = subscriber
        self._range = StreamRange(connection)
        self._channels = keys.channels(session)
        self._streams = (keys.results(session), keys.audio_out(session))
        self._position: dict[str, StreamId] = dict.fromkeys(self._streams, (0, 0))
        self._last_sequence: dict[str, int] = {}
        self._taken: Mapping[str, int] = {}
        self._announced: list[tuple[str, StreamId, JobResult]] = []
        self._is_behind = True  # what was written before the subscription was confirmed is only in the streams
        self._closed = False
        self._wake = LightEvent()

    async def open(self) -> None:
        """Subscribe. Raises BrokerLost."""
        await self._subscriber.subscribe(self._channels, self)

    def start_at(self, starts: Mapping[str, StreamId], taken: Mapping[str, int]) -> None:
        """Start reading each stream just after the entry in `starts`, without the results that were already `taken` of a job."""
        self._position.update(starts)
        self._last_sequence = dict(taken)
        self._taken = taken

    def on_message(self, payload: bytes) -> None:
        """See Listener."""
        if len(self._announced) >= QUEUE_MAX:
            self._is_behind = True
        else:
            try:
                self._announced.append(self._read_announcement(payload))
            except (BrokerLost, ValueError, IndexError) as error:
                _log.error("an announced record can't be read", error=type(error).__name__)
                self._is_behind = True  # the stream has it, too
        self._wake.set()

    def _read_announcement(self, payload: bytes) -> tuple[str, StreamId, JobResult]:
        end = 1 + payload[0]
        record = unpack_result(payload[end:])
        stream = self._streams[1 if record.kind is JobKind.TTS else 0]
        return stream, parse_stream_id(payload[1:end]), record

    def on_gap(self) -> None:
        """See Listener."""
        self._is_behind = True
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[JobResult]:
        """Yield results until closed. While the store is away it waits: a call outlives a restart of the store."""
        while not self._closed:
            if self._is_behind:
                try:
                    async for record in self._catch_up():
                        yield record
                except BrokerLost as error:
                    _log.warning("results can't be read, retrying", error=error.message)
                    await asyncio.sleep(LONGEST_PAUSE_S)
            elif self._announced:
                stream, entry, record = self._announced.pop(0)
                if entry <= self._position[stream]:
                    continue
                if record.sequence <= self._taken.get(record.job_id, 0):
                    self._position[stream] = entry
                    continue
                if record.sequence > self._last_sequence.get(record.job_id, 0) + 1:
                    self._is_behind = True
                    continue
                self._delivered(stream, entry, record)
                yield record
            else:
                self._wake.clear()
                await self._wake.wait()

    async def close(self) -> None:
        """See ResultStream."""
        if not self._closed:
            self._closed = True
            self._wake.set()
            await self._subscriber.unsubscribe(self._channels, self)

    async def _catch_up(self) -> AsyncIterator[JobResult]:
        # Cleared first: announcements during the read stay in the queue, and are dropped there if they were read here.
        self._is_behind = False
        self._announced.clear()
        is_complete = False
        try:
            for stream in self._streams:
                while entries := await self._read_on(stream):
                    for entry_id, record in entries:
                        if record.sequence <= self._taken.get(record.job_id, 0):
                            self._position[stream] = entry_id
                            continue
                        self._delivered(stream, entry_id, record)
                        yield record
                        if self._closed:
                            return
            is_complete = True
        finally:
            if not is_complete:
                self._is_behind = True

    async def _read_on(self, stream: str) -> list[tuple[StreamId, JobResult]]:
        position = b"%d-%d" % self._position[stream]
        read = []
        for entry_id, fields in await self._range.after(stream, position, count=READ_COUNT):
            try:
                read.append((parse_stream_id(entry_id), unpack_result(fields.get(b"r", b""))))
            except BrokerLost as error:  # a retry would not help: continue with what can be read
                _log.error("a record can't be read", error=error.message)
                self._position[stream] = parse_stream_id(entry_id)
        return read

    def _delivered(self, stream: str, entry: StreamId, record: JobResult) -> None:
        self._position[stream] = entry
        if record.is_last:
            self._last_sequence.pop(record.job_id, None)
        else:
            self._last_sequence[record.job_id] = record.sequence
