"""Jobs go out to workers, results come back. Two adapters: Valkey/Redis Streams, and one in memory for tests.

A job is given to one worker of its kind at a time. The worker that holds it publishes results: fenced (a worker that lost its
claim publishes nothing), numbered (1, 2, 3, … over all attempts of a job), durable, and announced.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

MAX_JOB_BYTES = 8 * 1024 * 1024
"""The payload of a job: a conversation of 4 MiB, instructions, tools, and the results of tools."""
MAX_RESULT_BYTES = 512 * 1024
"""The body of one result: the longest text or output is 256 KiB, and MessagePack adds little."""
MAX_RESULT_AUDIO_BYTES = 4 * 1024 * 1024
"""The audio of one result: 87 s; a segment is about 15 s."""


class JobKind(StrEnum):
    """Streams of work; the consumer group of each is `<kind>-workers`."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"
    TOOL = "tool"
    RECORD = "record"


class SessionRef(msgspec.Struct, frozen=True):
    """A session's address in the store. Every key of a session carries both ids, so tenants never share a key."""

    tenant_id: str
    session_id: str


class Job(msgspec.Struct, frozen=True):
    """One piece of work.

    Attributes:
        payload: MessagePack of an `engine.jobs` request (or a record batch for RECORD).
        submitted_s: wall time.
        correlation_id: of the log lines of its call or request.
    """

    job_id: str
    kind: JobKind
    session: SessionRef
    payload: bytes
    submitted_s: float
    correlation_id: str = ""


class Claim(msgspec.Struct, frozen=True):
    """A job that this worker holds.

    Attributes:
        entry_id: the id of the job in its stream.
        attempt: 1 for the first attempt; grows with each reclaim.
        published: number of results that earlier attempts published; a worker continues after them.
    """

    job: Job
    entry_id: str
    attempt: int
    published: int = 0
    claimed_s: float = 0.0


class JobResult(msgspec.Struct, frozen=True):
    """One result of a job, as the session's gateway receives it.

    Attributes:
        sequence: 1, 2, 3, … within the job, over all attempts.
        body: MessagePack of an `engine.inputs` WorkerInput.
        audio: int16 mono PCM at 24 kHz, or empty.
        claimed_s, published_s: wall times at the worker.
        is_last: the job is done; nothing follows.
    """

    job_id: str
    kind: JobKind
    sequence: int
    attempt: int
    body: bytes
    audio: bytes = b""
    claimed_s: float = 0.0
    published_s: float = 0.0
    is_last: bool = False


class AudioEntry(msgspec.Struct, frozen=True):
    """A piece of an utterance's audio stream, or a mark in it.

    Attributes:
        mark: `audio` (pcm follows at `at_sample`), `probe` (the caller paused; speech ended at `at_sample`), `resume` (the
            caller continued: the last probe's answer is void), `end` (nothing follows; speech ended at `at_sample`).
        pcm: int16 mono PCM at 16 kHz; only with `audio`.
        end_sample: only with `end`: samples from here on do not belong to the utterance. None: all of them do.
    """

    mark: str
    at_sample: int
    pcm: bytes = b""
    end_sample: int | None = None


class Submit(msgspec.Struct, frozen=True):
    """Dispatch: submit a job. Submitted again, it does not run again."""

    job: Job


class Cancel(msgspec.Struct, frozen=True):
    """Dispatch: cancel a job, whether claimed or not. Reaches a busy worker within 50 ms."""

    job_id: str
    kind: JobKind
    session: SessionRef


class AppendAudio(msgspec.Struct, frozen=True):
    """Dispatch: caller audio, or a mark, for an utterance job."""

    session: SessionRef
    job_id: str
    entry: AudioEntry


class AppendLog(msgspec.Struct, frozen=True):
    """Dispatch: append one engine input to the session's log, before its effects become visible."""

    session: SessionRef
    entry: bytes


class Workload(msgspec.Struct, frozen=True):
    """Jobs of one kind.

    Attributes:
        waiting: that no worker has taken.
        running: that a worker holds.
        dead: that failed permanently and are kept for inspection.
    """

    waiting: int = 0
    running: int = 0
    dead: int = 0


Dispatch = Submit | Cancel | AppendAudio | AppendLog


class ResultStream(Protocol):
    """A session's results, in order, each once. Opened before the first job is submitted."""

    def __aiter__(self) -> AsyncIterator[JobResult]:
        """Yield results as they are announced; after a gap or a lost connection, from the durable stream."""

    async def close(self) -> None:
        """Unsubscribe. Idempotent."""


class Broker(Protocol):
    """The whole broker. Every method raises BrokerLost when the store can't be reached in time."""

    async def dispatch(self, actions: Sequence[Dispatch], *, owner: str = "") -> None:
        """Carry out `actions` in order, in one round trip.

        With `owner` the actions are those of a session's owner (see `sessions.directory`). Raises SessionTaken when the session
        has another owner: then no action was logged, cancelled, appended or submitted, record jobs included.
        """

    async def results(self, session: SessionRef, *, taken: Mapping[str, int] | None = None) -> ResultStream:
        """Open the session's result stream; returns once the subscription is confirmed.

        `taken` (for a session that is taken over): the open jobs, and how many results of each were already received. Of these
        jobs only later results are yielded; results of other jobs may be missing.
        """

    async def audio(self, session: SessionRef, job_ids: Collection[str]) -> list[JobResult]:
        """All results of some synthesis jobs that are still stored, in order."""

    async def delivered(self, session: SessionRef, job_id: str) -> list[AudioEntry]:
        """The last entries of an utterance's audio stream, in order: at most 64; none when it has ended or never began."""

    async def attempts(self, session: SessionRef, jobs: Mapping[str, JobKind]) -> dict[str, int]:
        """The number of attempts of each job; jobs that the store does not know are left out."""

    async def forget(self, session: SessionRef) -> None:
        """Delete every key of the session (results, audio, log). Idempotent."""

    # -- for workers -------------------------------------------------------------------------------------------

    async def claim(
        self, kind: JobKind, worker: str, *, slots: int, wait_s: float, most_bytes: int | None = None
    ) -> list[Claim]:
        """Up to `slots` jobs: first those of dead workers (idle too long), then new ones. Waits up to `wait_s`.

        With `most_bytes` the job that crosses it is the last: so at least one, and of large ones few.

        A job claimed more often than the limit goes to the dead-letter stream, with a JobFailed result, and is not returned.
        """

    async def publish(self, claim: Claim, body: bytes, *, audio: bytes = b"", is_last: bool = False) -> bool:
        """Publish the next result of a job; `is_last` also acknowledges it. False: the claim is lost, or the job cancelled."""

    async def published(self, claim: Claim) -> list[JobResult]:
        """The results that earlier attempts of this job published, in order."""

    async def release(self, claim: Claim) -> None:
        """Acknowledge without a result (cancelled, or recorded elsewhere)."""

    async def hand_back(self, claim: Claim) -> None:
        """Return a job for another attempt, by any free worker, at once."""

    async def fail(self, claim: Claim, *, code: str, message: str) -> None:
        """End a job permanently: a JobFailed result to the session, the job itself to the dead-letter stream."""

    async def release_consumer(self, kind: JobKind, worker: str) -> None:
        """A worker is known to be dead: make its jobs available to other workers at once. Idempotent."""

    async def renew_lease(self, kind: JobKind, worker: str, claims: Sequence[Claim]) -> None:
        """Heartbeat: the worker still holds these claims. Called at least every second."""

    def cancellations(self, kind: JobKind) -> AsyncIterator[str]:
        """Job ids as they are cancelled."""

    async def is_cancelled(self, claim: Claim) -> bool:
        """Whether a job was cancelled, possibly before it was claimed."""

    def utterance(self, claim: Claim) -> AsyncIterator[AudioEntry]:
        """The utterance's audio and marks from its first entry, as they arrive; ends after `end`."""

    async def queue_age_s(self, kind: JobKind) -> float:
        """Age of the oldest unclaimed job; 0.0 when there is none."""

    async def workers(self, kind: JobKind) -> int:
        """How many workers of a kind sent a heartbeat or a claim within the last three seconds."""

    async def workload(self) -> dict[JobKind, Workload]:
        """The jobs of every kind, counted in one round trip."""

    async def close(self) -> None:
        """Close connections. Idempotent."""
