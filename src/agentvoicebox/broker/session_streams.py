"""The stored streams of a session, for a gateway that resumes it: its results from the right position, its audio, its jobs."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import structlog

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, StreamEntry, entries_of
from agentvoicebox.broker.envelope import StreamId, parse_stream_id, unpack_audio, unpack_result
from agentvoicebox.broker.result_reader import ResultReader
from agentvoicebox.broker.subscriber import Subscriber
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import AudioEntry, JobKind, JobResult, ResultStream, SessionRef

_STREAM_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class SessionStreams:
    """Streams of all sessions of one store. Every method raises BrokerLost."""

    def __init__(self, connection: Connection, subscriber: Subscriber) -> None:
        self._connection = connection
        self._subscriber = subscriber

    async def results(self, session: SessionRef, taken: Mapping[str, int] | None) -> ResultStream:
        """See Broker."""
        reader = ResultReader(self._connection, self._subscriber, session)
        if taken is not None:
            reader.start_at(await self._starts(session, taken), taken)
        await reader.open()
        return reader

    async def _starts(self, session: SessionRef, job_ids: Collection[str]) -> dict[str, StreamId]:
        """The position from which each result stream must be read, so that no result of these jobs is missed."""
        # The ends of the streams are read first: results of a job that has none yet will lie beyond them.
        ends = {}
        for stream in (keys.results(session), keys.audio_out(session)):
            newest: Any = await self._connection.call(
                lambda stream=stream: self._connection.commands.xrevrange(stream, count=1)  # type: ignore[misc]
            )
            ends[stream] = parse_stream_id(newest[0][0]) if newest else (0, 0)
        # The streams' ids are times of one clock, so the first result of any job bounds both.
        firsts = [_before(first) for first in await self._firsts(session, job_ids)]
        return {stream: min([end, *firsts]) for stream, end in ends.items()}

    async def _firsts(self, session: SessionRef, job_ids: Collection[str]) -> list[StreamId]:
        """The first results' entries of those jobs that have one. All kinds but record jobs keep their fences under one name."""
        fences = [keys.job(JobKind.TTS, session, job_id) for job_id in job_ids]
        firsts = await self._field_of_each(fences, "first")
        return [parse_stream_id(first) for first in firsts if first is not None and _STREAM_ID.fullmatch(first)]

    async def _field_of_each(self, fences: Collection[str], field: str) -> list[Any]:
        async def read() -> list[Any]:
            pipe = self._connection.commands.pipeline(transaction=False)
            for fence in fences:
                pipe.hget(fence, field)
            answers: list[Any] = await pipe.execute()
            return answers

        return await self._connection.call(read) if fences else []

    async def audio(self, session: SessionRef, job_ids: Collection[str]) -> list[JobResult]:
        """See Broker."""
        firsts = await self._firsts(session, job_ids)
        if not firsts:
            return []
        ms, count = min(firsts)
        entries: Any = await self._connection.call(
            lambda: self._connection.commands.xrange(keys.audio_out(session), min=f"{ms}-{count}", max="+")
        )
        records = _readable(entries_of(entries), b"r", unpack_result)
        return [record for record in records if record.job_id in job_ids]

    async def delivered(self, session: SessionRef, job_id: str) -> list[AudioEntry]:
        """See Broker."""
        entries: Any = await self._connection.call(
            lambda: self._connection.commands.xrevrange(keys.audio_in(session, job_id), count=keys.DELIVERED_COUNT)
        )
        return _readable(entries_of(entries)[::-1], b"a", unpack_audio)

    async def attempts(self, session: SessionRef, jobs: Mapping[str, JobKind]) -> dict[str, int]:
        """See Broker."""
        fences = [keys.job(kind, session, job_id) for job_id, kind in jobs.items()]
        answers = await self._field_of_each(fences, "attempt")
        return {
            job_id: int(answer) for job_id, answer in zip(jobs, answers, strict=True) if answer and answer.isdigit()
        }

    async def forget(self, session: SessionRef) -> None:
        """See Broker. Record jobs are kept: they outlive their session."""

        async def delete() -> None:
            redis = self._connection.commands
            known: Any = await redis.smembers(keys.jobs(session))
            job_ids = [raw.decode(errors="replace") for raw in known]
            doomed = [
                keys.jobs(session),
                keys.results(session),
                keys.audio_out(session),
                keys.log(session),
                keys.snapshot(session),
                keys.session_hash(session),
                *(keys.job(JobKind.STT, session, job_id) for job_id in job_ids),
                *(keys.audio_in(session, job_id) for job_id in job_ids),
            ]
            await redis.unlink(*doomed)

        await self._connection.call(delete)


def _readable(entries: list[StreamEntry], field: bytes, unpack: Callable[[bytes], _T]) -> list[_T]:
    """What the entries hold. The session resumes without those that are damaged."""
    read = []
    for _, fields in entries:
        try:
            read.append(unpack(fields.get(field, b"")))
        except BrokerLost as error:
            _log.error("a record can't be read", error=error.message)
    return read


def _before(entry: StreamId) -> StreamId:
    ms, count = entry
    return (ms, count - 1) if count else (ms - 1, 2**63)
