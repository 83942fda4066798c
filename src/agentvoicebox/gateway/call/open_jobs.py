"""The jobs of a session that are open, so that a cancel knows its stream and a late record is recognised."""

from collections.abc import Container

import msgspec

from agentvoicebox.engine.jobs import CallTool, Generate, JobRequest, Synthesise, Transcribe
from agentvoicebox.ports.broker import JobKind, JobResult
from agentvoicebox.telemetry.metrics import Metrics

# Until the first result, or for an utterance from its end to its text. Each is longer than the worker's own timeout, so that the
# worker reports the better reason first; a job beyond it has no worker any more.
TIMEOUT_S = {JobKind.STT: 30.0, JobKind.LLM: 45.0, JobKind.TTS: 30.0, JobKind.TOOL: 60.0}


class OpenedJob(msgspec.Struct):
    """`due_s`: when it times out; None while its utterance continues, and once it has answered."""

    kind: JobKind
    opened_s: float
    due_s: float | None = None
    has_answered: bool = False


def kind_of(request: JobRequest) -> JobKind:
    """Which workers a request is for."""
    match request:
        case Transcribe():
            return JobKind.STT
        case Generate():
            return JobKind.LLM
        case Synthesise():
            return JobKind.TTS
        case CallTool():
            return JobKind.TOOL


class OpenJobs:
    """One session's jobs. Times are monotonic seconds: a wall clock that is set must not end them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._jobs: dict[str, OpenedJob] = {}

    def __contains__(self, job_id: str) -> bool:
        """Whether the job is open: neither done nor failed nor cancelled."""
        return job_id in self._jobs

    def __len__(self) -> int:
        """How many are open."""
        return len(self._jobs)

    def ids(self) -> list[str]:
        """The open jobs, oldest first."""
        return list(self._jobs)

    def opened(self, job_id: str, request: JobRequest, at_s: float) -> JobKind:
        """A job was opened; returns its kind."""
        kind = kind_of(request)
        self._jobs[job_id] = OpenedJob(kind, at_s, _due_s(kind, at_s))
        self._metrics.job_opened(kind)
        return kind

    def delayed(self, job_id: str, seconds: float) -> None:
        """A job is given to its workers later, so its answer is due later."""
        job = self._jobs[job_id]
        if job.due_s is not None:
            job.due_s += seconds

    def restore(self, job_id: str, kind: JobKind, at_s: float) -> None:
        """A job is open that another gateway opened."""
        self._jobs[job_id] = OpenedJob(kind, at_s, _due_s(kind, at_s))

    def utterance_ended(self, job_id: str, at_s: float) -> None:
        """An utterance has ended: its text is due."""
        job = self._jobs.get(job_id)
        if job is not None:
            job.due_s = at_s + TIMEOUT_S[job.kind]

    def overdue(self, at_s: float) -> dict[str, JobKind]:
        """Jobs that have timed out."""
        return {job_id: job.kind for job_id, job in self._jobs.items() if job.due_s is not None and at_s >= job.due_s}

    def of_kinds(self, kinds: Container[JobKind]) -> dict[str, JobKind]:
        """The open jobs of these kinds."""
        return {job_id: job.kind for job_id, job in self._jobs.items() if job.kind in kinds}

    def answered(self, record: JobResult, at_s: float) -> None:
        """A record of an open job arrived; the last one closes the job."""
        job = self._jobs[record.job_id]
        if not job.has_answered:
            job.has_answered = True
            job.due_s = job.due_s if job.kind is JobKind.STT else None
            self._metrics.first_result(job.kind, record.published_s - record.claimed_s)
        if record.is_last:
            self.close(record.job_id, "done", at_s)

    def close(self, job_id: str, outcome: str, at_s: float) -> JobKind | None:
        """A job is `done`, `failed` or `cancelled`; returns its kind, or None when it was not open."""
        job = self._jobs.pop(job_id, None)
        if job is None:
            return None
        self._metrics.job_over(job.kind, outcome, at_s - job.opened_s)
        return job.kind


def _due_s(kind: JobKind, at_s: float) -> float | None:
    return None if kind is JobKind.STT else at_s + TIMEOUT_S[kind]
