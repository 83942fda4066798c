"""The stored streams of a session, for a gateway that resumes it: its results from the right position, its audio, its jobs."""

import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import structlog

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, entries_of
from agentvoicebox.broker.envelope import StreamId, parse_stream_id, unpack_audio
from agentvoicebox.broker.result_reader import ResultReader
from agentvoicebox.broker.stream_range import StreamRange, before, readable
from agentvoicebox.broker.subscriber import Subscriber
from agentvoicebox.ports.broker import AudioEntry, JobKind, JobResult, ResultStream, SessionRef

_STREAM_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class SessionStreams:
    """Streams of all sessions of one store. Every method raises BrokerLost."""

    def __init__(self, connection: Connection, subscriber: Subscriber) -> None:
        self._connection = connection
        self._subscriber = subscriber
        self._range = StreamRange(connection)

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
        firsts = [parse_stream_id(before(first)) for first in await self._firsts(session, job_ids)]
        return {stream: min([end, *firsts]) for stream, end in ends.items()}

    async def _firsts(self, session: SessionRef, job_ids: Collection[str]) -> list[bytes]:
        """The first results' entries of those jobs that have one. All kinds but record jobs keep their fences under one name."""
        fences = [keys.job(JobKind.TTS, session, job_id) for job_id in job_ids]
        firsts = await self._field_of_each(fences, "first")
        return [first for first in firsts if first is not None and _STREAM_ID.fullmatch(first)]

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
        return await self._range.results_of(keys.audio_out(session), before(min(firsts, key=parse_stream_id)), job_ids)

    async def delivered(self, session: SessionRef, job_id: str) -> list[AudioEntry]:
        """See Broker."""
        entries: Any = await self._connection.call(
            lambda: self._connection.commands.xrevrange(keys.audio_in(session, job_id), count=keys.DELIVERED_COUNT)
        )
        return readable(entries_of(entries)[::-1], b"a", unpack_audio)

    async def attempts(self, session: SessionRef, jobs: Mapping[str, JobKind]) -> dict[str, int]:
        """See Broker."""
        fences = [keys.job(kind, session, job_id) for job_id, kind in jobs.items()]
        answers = await self._field_of_each(fences, "attempt")
        return {
            job_id: int(answer) for job_id, answer in zip(jobs, answers, strict=True) if answer and answer.isdigit()
        }

    async def forget(self, session: SessionRef) -> None:
        """See Broker. Record jobs are kept: they outlive their session. So are side effects, for a moment: they may still end."""

        async def delete() -> None:
            redis = self._connection.commands
            # The owner first: from then on whatever is written for the session has a time to live.
            pipe = redis.pipeline(transaction=False)
            pipe.execute_command("UNLINK", keys.session_hash(session))
            pipe.expire(keys.effects(session), keys.EFFECTS_AFTER_END_S)
            pipe.smembers(keys.jobs(session))
            _, _, known = await pipe.execute()
            job_ids = [raw.decode(errors="replace") for raw in known]
            doomed = [
                keys.jobs(session),
                keys.results(session),
                keys.audio_out(session),
                keys.log(session),
                keys.snapshot(session),
                *(keys.job(JobKind.STT, session, job_id) for job_id in job_ids),
                *(keys.audio_in(session, job_id) for job_id in job_ids),
            ]
            await redis.unlink(*doomed)

        await self._connection.call(delete)
