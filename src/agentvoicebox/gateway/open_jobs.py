"""Which jobs of a session are out, so that a cancel knows its stream and a late record is known to be late."""

import msgspec

from agentvoicebox.engine.jobs import CallTool, Generate, JobRequest, Speak, Transcribe
from agentvoicebox.ports.broker import JobKind, Record
from agentvoicebox.telemetry.metrics import Metrics


class OpenedJob(msgspec.Struct):
    """One job that is out."""

    kind: JobKind
    opened_s: float
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
        self._jobs[job_id] = OpenedJob(kind, at_s)
        self._metrics.job_opened(kind)
        return kind

    def go_on(self, job_id: str, kind: JobKind, at_s: float) -> None:
        """A job is out that another gateway opened."""
        self._jobs[job_id] = OpenedJob(kind, at_s)

    def answered(self, record: Record, at_s: float) -> None:
        """A record of an open job came; its last one closes it."""
        job = self._jobs[record.job_id]
        if not job.has_answered:
            job.has_answered = True
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
