"""All utterances that a worker process reads, over one blocking connection.

On one server one XREAD waits on every open utterance; a wake-up stream is among them, so that a new utterance ends the
wait at once. In a cluster no read waits on two slots: there all streams are polled every 10 ms, in one round trip per node. An
utterance whose consumer lags is left out until it has caught up: the store holds its audio, not this process.
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import STORE_ERRORS, Connection, StreamEntry, entries_of
from agentvoicebox.broker.envelope import parse_stream_id, unpack_audio
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import AudioEntry

BLOCK_MS = 1000
POLL_S = 0.01  # in a cluster; half of an audio entry, and short compared with recognition
READ_COUNT = 64  # entries per utterance and round trip
BUFFER_MAX = 256  # entries; about five seconds of 20 ms frames


class _Utterance:
    def __init__(self) -> None:
        self.position: bytes = b"0-0"
        self.entries: deque[AudioEntry] = deque()
        self.next_sample = 0
        self.is_over = False
        self.failure: BrokerLost | None = None
        self.wake = asyncio.Event()

    def append(self, entry: AudioEntry) -> None:
        """Append an entry, unless it is a duplicate that was sent again after a lost connection."""
        if entry.mark == "audio":
            end_sample = entry.at_sample + len(entry.pcm) // 2
            if end_sample <= self.next_sample:
                return
            self.next_sample = end_sample
        self.entries.append(entry)
        self.is_over = self.is_over or entry.mark == "end"


class UtteranceReader:
    """Reads utterance streams from their first entry, as they grow."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._polls = connection.store.is_cluster
        self._open: dict[str, list[_Utterance]] = {}
        self._wake_stream = keys.wake_stream(secrets.token_hex(8))
        self._wake_position: bytes = b"0-0"
        self._task: asyncio.Task[None] | None = None

    async def read(self, stream: str) -> AsyncIterator[AudioEntry]:
        """Yield the entries of `stream`; ends after the `end` mark. Raises BrokerLost."""
        utterance = _Utterance()
        self._open.setdefault(stream, []).append(utterance)
        try:
            await self._wake_task()
            while True:
                while utterance.entries:
                    entry = utterance.entries.popleft()
                    if len(utterance.entries) == BUFFER_MAX // 2 and not utterance.is_over:
                        await self._wake_task()
                    yield entry
                    if entry.mark == "end":
                        return
                if utterance.failure is not None:
                    raise utterance.failure
                utterance.wake.clear()
                await utterance.wake.wait()
        finally:
            self._open[stream].remove(utterance)
            if not self._open[stream]:
                del self._open[stream]

    async def close(self) -> None:
        """Stop reading. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            if not self._polls:
                with contextlib.suppress(*STORE_ERRORS):  # otherwise it expires by itself
                    await self._connection.commands.delete(self._wake_stream)

    async def _wake_task(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="broker-utterances")
            return
        if self._polls:
            return

        async def wake() -> None:
            pipe = self._connection.commands.pipeline(transaction=False)
            pipe.xadd(self._wake_stream, {b"w": b""}, maxlen=1, approximate=False)
            pipe.expire(self._wake_stream, keys.WAKE_TTL_S)
            await pipe.execute()

        await self._connection.call(wake)

    async def _run(self) -> None:
        while self._open:
            wanted = self._wanted()
            positions = {stream: one.position for stream, one in wanted.items()}
            try:
                answer = await (self._poll(positions) if self._polls else self._wait(positions))
            except BrokerLost as error:
                for one in (one for many in self._open.values() for one in many):
                    one.failure = error
                    one.wake.set()
                return
            for stream, entries in answer:
                if stream == self._wake_stream:
                    self._wake_position = entries[-1][0]
                elif (utterance := wanted.get(stream)) is not None:
                    self._append_entries(utterance, entries)
                    utterance.wake.set()

    def _append_entries(self, utterance: _Utterance, entries: list[StreamEntry]) -> None:
        try:
            for entry_id, fields in entries:
                utterance.position = entry_id
                utterance.append(unpack_audio(fields.get(b"a", b"")))
        except BrokerLost as error:  # this one can't be read; the others can
            utterance.failure = error
            utterance.is_over = True

    async def _wait(self, positions: dict[str, bytes]) -> list[tuple[str, list[StreamEntry]]]:
        streams: dict[Any, Any] = {self._wake_stream: self._wake_position, **positions}
        answer: Any = await self._connection.wait(
            lambda: self._connection.store.blocking.xread(streams, count=READ_COUNT, block=BLOCK_MS)
        )
        return [(stream.decode(), entries_of(entries)) for stream, entries in answer or ()]

    async def _poll(self, positions: dict[str, bytes]) -> list[tuple[str, list[StreamEntry]]]:
        async def read() -> list[Any]:
            pipe = self._connection.commands.pipeline(transaction=False)
            for stream, position in positions.items():
                pipe.xrange(stream, min=b"(" + position, max="+", count=READ_COUNT)
            answers: list[Any] = await pipe.execute()
            return answers

        answers = await self._connection.call(read) if positions else []
        if not any(answers):
            await asyncio.sleep(POLL_S)
        return [(stream, entries_of(found)) for stream, found in zip(positions, answers, strict=True) if found]

    def _wanted(self) -> dict[str, _Utterance]:
        """One reader per stream: if the same utterance is read twice here, the slowest reader comes first."""
        wanted = {}
        for stream, many in self._open.items():
            eager = [one for one in many if not one.is_over and len(one.entries) < BUFFER_MAX]
            if eager:
                wanted[stream] = min(eager, key=lambda one: parse_stream_id(one.position))
        return wanted
