"""What workers publish → inputs. Audio is laid on the shelf, its name goes to the driver.

Records of jobs that are no longer out (cancelled, or over) are dropped here: they can't matter any more, and a log without them
is shorter. While the caller reads slowly, no further record is taken; the store holds them.
"""

import msgspec

from agentvoicebox.audio.rates import PCM_BYTES
from agentvoicebox.clock import Clock
from agentvoicebox.engine.inputs import Heard, JobFailed, Spoken, WorkerInput
from agentvoicebox.gateway.driver import Driver
from agentvoicebox.gateway.ingest import Ingest
from agentvoicebox.gateway.open_jobs import OpenJobs
from agentvoicebox.gateway.shelf import ChunkShelf
from agentvoicebox.gateway.socket import Writer
from agentvoicebox.ports.broker import JobKind, JobResult, ResultStream
from agentvoicebox.telemetry.logs import get_logger

_decoder: msgspec.msgpack.Decoder[WorkerInput] = msgspec.msgpack.Decoder(WorkerInput)
log = get_logger(__name__)


class Inbox:
    """One session's results."""

    def __init__(
        self,
        results: ResultStream,
        *,
        driver: Driver,
        writer: Writer,
        ear: Ingest,
        jobs: OpenJobs,
        shelf: ChunkShelf,
        clock: Clock,
    ) -> None:
        self._results = results
        self._driver = driver
        self._writer = writer
        self._ear = ear
        self._jobs = jobs
        self._shelf = shelf
        self._clock = clock

    async def run(self) -> None:
        """Read until cancelled, or until the stream is closed."""
        async for record in self._results:
            await self._take(record)

    async def _take(self, record: JobResult) -> None:
        if record.job_id not in self._jobs:
            return
        try:
            given = _decoder.decode(record.body)
        except msgspec.MsgspecError:
            log.error("a worker's record can't be read", job_id=record.job_id, kind=record.kind)
            given = JobFailed(record.job_id, "bad_provider_answer", "a worker's answer could not be read")
        match given:
            case Spoken():
                await self._writer.room()
                self._shelf.put(record.job_id, record.sequence, record.audio)
                given = Spoken(record.job_id, record.sequence, len(record.audio) // PCM_BYTES)
            case Heard(text=text, speech_end_sample=speech_end_sample):
                self._ear.hear(text, speech_end_sample)
            case JobFailed() if record.kind is JobKind.STT:
                self._ear.close_utterance(record.job_id)
            case _:
                pass
        self._close_if_over(record, given)
        if not isinstance(given, Spoken) or given.sample_count > 0:
            await self._driver.offer(given, record=record)

    def _close_if_over(self, record: JobResult, given: WorkerInput) -> None:
        if record.job_id not in self._jobs:
            return  # cancelled while the caller read slowly
        at_s = self._clock.wall_s()
        if isinstance(given, JobFailed):
            self._jobs.over(record.job_id, "failed", at_s)
        else:
            self._jobs.answered(record, at_s)
