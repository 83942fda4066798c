"""Which jobs of a session are out, so that a cancel knows its stream and a late record is known to be late."""

from collections.abc import Container

import msgspec

from agentvoicebox.engine.jobs import CallTool, Generate, JobRequest, Speak, Transcribe
from agentvoicebox.ports.broker import JobKind, JobResult
from agentvoicebox.telemetry.metrics import Metrics

# Until the first result, or for an utterance from its end to its text. Each is longer than what its worker allows itself, so
# that whoever has a better reason tells it first; what lies beyond has no worker any more that knows of it.
PATIENCE_S = {JobKind.STT: 30.0, JobKind.LLM: 45.0, JobKind.TTS: 30.0, JobKind.TOOL: 60.0}


class OpenedJob(msgspec.Struct):
    """One job that is out. `due_s`: when it is given up; None while its utterance goes on, and once it has answered."""

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
        case Speak():
            return JobKind.TTS
        case CallTool():
            return JobKind.TOOL


class OpenJobs:
    """One session's jobs. Times are wall time."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._jobs: dict[str, OpenedJob] = {}

    def __contains__(self, job_id: str) -> bool:
        """Whether the job is out: neither over nor cancelled."""
        return job_id in self._jobs

    def __len__(self) -> int:
        """How many are out."""
        return len(self._jobs)

    def ids(self) -> list[str]:
        """The jobs that are out, oldest first."""
        return list(self._jobs)

    def opened(self, job_id: str, request: JobRequest, at_s: float) -> JobKind:
        """A job goes out; gives its kind."""
        kind = kind_of(request)
        self._jobs[job_id] = OpenedJob(kind, at_s, _due_s(kind, at_s))
        self._metrics.job_opened(kind)
        return kind

    def go_on(self, job_id: str, kind: JobKind, at_s: float) -> None:
        """A job is out that another gateway opened."""
        self._jobs[job_id] = OpenedJob(kind, at_s, _due_s(kind, at_s))

    def ended(self, job_id: str, at_s: float) -> None:
        """An utterance has ended: its text is due."""
        job = self._jobs.get(job_id)
        if job is not None:
            job.due_s = at_s + PATIENCE_S[job.kind]

    def overdue(self, at_s: float) -> dict[str, JobKind]:
        """Jobs that nothing will come of any more."""
        return {job_id: job.kind for job_id, job in self._jobs.items() if job.due_s is not None and at_s >= job.due_s}

    def of(self, kinds: Container[JobKind]) -> dict[str, JobKind]:
        """The jobs of some kinds."""
        return {job_id: job.kind for job_id, job in self._jobs.items() if job.kind in kinds}

    def answered(self, record: JobResult, at_s: float) -> None:
        """A record of an open job came; its last one closes it."""
        job = self._jobs[record.job_id]
        if not job.has_answered:
            job.has_answered = True
            job.due_s = job.due_s if job.kind is JobKind.STT else None
            self._metrics.first_result(job.kind, record.published_s - record.claimed_s)
        if record.is_last:
            self.over(record.job_id, "done", at_s)

    def over(self, job_id: str, outcome: str, at_s: float) -> JobKind | None:
        """A job is `done`, `failed` or `cancelled`; gives its kind, or None when it was over before."""
        job = self._jobs.pop(job_id, None)
        if job is None:
            return None
        self._metrics.job_over(job.kind, outcome, at_s - job.opened_s)
        return job.kind


def _due_s(kind: JobKind, at_s: float) -> float | None:
    return None if kind is JobKind.STT else at_s + PATIENCE_S[kind]
