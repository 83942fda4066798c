"""What workers publish → inputs. Audio goes to the chunk buffer, its name to the driver.

Records of jobs that are no longer open are dropped here: they can't matter any more, and the log is shorter without them. While
the caller reads slowly, no further record is taken; the store holds them.
"""

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.engine.inputs import AudioSynthesised, JobFailed, Transcribed, WorkerInput
from agentvoicebox.errors import UNREADABLE
from agentvoicebox.gateway.audio.audio_chunk_buffer import AudioChunkBuffer
from agentvoicebox.gateway.audio.ingest import Ingest
from agentvoicebox.gateway.call.mailbox import Mailbox
from agentvoicebox.gateway.call.open_jobs import OpenJobs
from agentvoicebox.gateway.call.socket import Writer
from agentvoicebox.ports.broker import MAX_RESULT_AUDIO_BYTES, MAX_RESULT_BYTES, JobKind, JobResult, ResultStream
from agentvoicebox.telemetry.logs import get_logger

PCM_BYTES = 2  # a sample

_decoder: msgspec.msgpack.Decoder[WorkerInput] = msgspec.msgpack.Decoder(WorkerInput)
log = get_logger(__name__)


class Inbox:
    """One session's results."""

    def __init__(
        self,
        results: ResultStream,
        mailbox: Mailbox,
        writer: Writer,
        *,
        input_audio: Ingest,
        jobs: OpenJobs,
        chunks: AudioChunkBuffer,
        clock: Clock,
    ) -> None:
        self._results = results
        self._mailbox = mailbox
        self._writer = writer
        self._input_audio = input_audio
        self._jobs = jobs
        self._chunks = chunks
        self._clock = clock

    async def run(self) -> None:
        """Read until cancelled, or until the stream is closed."""
        async for record in self._results:
            await self._take(record)

    async def _take(self, record: JobResult) -> None:
        if record.job_id not in self._jobs:
            return
        try:
            if len(record.body) > MAX_RESULT_BYTES or len(record.audio) > MAX_RESULT_AUDIO_BYTES:
                raise msgspec.ValidationError("too large")
            given = _decoder.decode(record.body)
        except UNREADABLE:
            log.error("a worker's record can't be decoded", job_id=record.job_id, kind=record.kind)
            given = JobFailed(record.job_id, "bad_provider_answer", "a worker's answer could not be read")
        match given:
            case AudioSynthesised():
                await self._writer.wait_for_room()
                self._chunks.put(record.job_id, record.sequence, record.audio)
                given = AudioSynthesised(record.job_id, record.sequence, len(record.audio) // PCM_BYTES)
            case Transcribed(text=text, speech_end_sample=speech_end_sample):
                self._input_audio.transcript_received(text, speech_end_sample)
            case JobFailed() if record.kind is JobKind.STT:
                self._input_audio.close_utterance(record.job_id)
            case _:
                pass
        self._close_if_done(record, given)
        if not isinstance(given, AudioSynthesised) or given.sample_count > 0:
            await self._mailbox.offer(given, record=record)

    def _close_if_done(self, record: JobResult, given: WorkerInput) -> None:
        if record.job_id not in self._jobs:
            return  # cancelled while the caller read slowly
        at_s = self._clock.monotonic_s()
        if isinstance(given, JobFailed):
            self._jobs.close(record.job_id, "failed", at_s)
        else:
            self._jobs.answered(record, at_s)
