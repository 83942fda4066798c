"""The session's jobs: opens, cancels and gives up what workers do for it."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence

import msgspec

from agentvoicebox.audio.pcm import Int16Array, bytes_of
from agentvoicebox.clock import Clock
from agentvoicebox.engine.effects import CancelJob, OpenJob, Persist, SendAudio
from agentvoicebox.engine.inputs import JobFailed
from agentvoicebox.engine.jobs import Generate, JobRequest, Synthesise, Transcribe
from agentvoicebox.errors import AgentVoiceBoxError, InvalidEvent, RateLimited
from agentvoicebox.gateway.admission.quota import Quota
from agentvoicebox.gateway.admission.service_health import MODE_OF
from agentvoicebox.gateway.audio.audio_chunk_buffer import AudioChunkBuffer
from agentvoicebox.gateway.audio.call_audio import AudioPiece
from agentvoicebox.gateway.audio.ingest import Ingest
from agentvoicebox.gateway.audio.utterance_delivery import whole_utterance
from agentvoicebox.gateway.call.mailbox import Mailbox
from agentvoicebox.gateway.call.open_jobs import OpenJobs, kind_of
from agentvoicebox.gateway.call.outbox import Outbox
from agentvoicebox.gateway.call.replay import RestoredSession
from agentvoicebox.gateway.call.restore_point import MS_SAMPLES, RestorePoint
from agentvoicebox.gateway.call.speech_pace import LONGEST_WAIT_S, SpeechPace
from agentvoicebox.ports.broker import (
    MAX_JOB_BYTES,
    AppendAudio,
    Cancel,
    Dispatch,
    Job,
    JobKind,
    SessionRef,
    Submit,
)
from agentvoicebox.storage.records import AUDIO, MAX_BATCH_BYTES, TURN, RecordBatch
from agentvoicebox.telemetry.logs import get_logger

log = get_logger(__name__)

NO_ANSWER = "no worker answered in time"
RECORD_STEP_S = 2e-6  # more than the resolution of a wall time as a float


class CallIdentity(msgspec.Struct, frozen=True):
    """What names a call to the store, the workers and the logs.

    Attributes:
        owner: the gateway's token for the session.
        correlation_id: in every log line of the call, and in every job, for the lines of its worker.
    """

    session: SessionRef
    owner: str
    correlation_id: str


class _DelayedJob(msgspec.Struct):
    """A text that waits until it may be spoken."""

    request: Synthesise
    timer: asyncio.TimerHandle


class SessionJobs:
    """One session's.

    Args:
        identity: of the call.
        outbox: by which jobs and cancels reach the store.
        open_jobs: which jobs are open.
        input_audio: delivers the audio of utterances.
        chunks: holds the audio of synthesis jobs.
        quota: refuses language model jobs when no tokens are left.
        mailbox: gets the failure of a job that no worker will answer.
        speech_pace: when the workers get the next text to speak.
    """

    def __init__(
        self,
        identity: CallIdentity,
        outbox: Outbox,
        open_jobs: OpenJobs,
        *,
        input_audio: Ingest,
        chunks: AudioChunkBuffer,
        quota: Quota,
        mailbox: Mailbox,
        clock: Clock,
        speech_pace: SpeechPace,
    ) -> None:
        self._session = identity.session
        self._owner = identity.owner
        self._correlation_id = identity.correlation_id
        self._outbox = outbox
        self._open_jobs = open_jobs
        self._input_audio = input_audio
        self._chunks = chunks
        self._quota = quota
        self._mailbox = mailbox
        self._clock = clock
        self._speech_pace = speech_pace
        self._delayed: dict[str, _DelayedJob] = {}
        self._absent: frozenset[JobKind] = frozenset()
        self._turns: list[Persist] = []  # ledgers that wait for further records
        self._batches = 0  # of records that were submitted here

    def open(self, job_id: str, request: JobRequest) -> None:
        """Give a job to its workers, or let it fail at once when there are none, or no tokens are left."""
        if kind_of(request) in self._absent:
            self._fail_without_worker(job_id, kind_of(request))
            return
        kind = self._open_jobs.opened(job_id, request, self._clock.monotonic_s())
        refusal: AgentVoiceBoxError | None
        refusal = self._quota.token_refusal() if isinstance(request, Generate) else None
        payload = msgspec.msgpack.encode(request)
        if len(payload) > MAX_JOB_BYTES:
            refusal = InvalidEvent("the conversation is too long for its workers", code="conversation_too_long")
        if refusal is None and isinstance(request, Synthesise):
            refusal = self._put_speech(job_id, request, payload)
        elif refusal is None:
            self._put_job(job_id, kind, payload)
        match request:
            case Transcribe(start_sample=start_sample) if not request.has_item_audio:
                self._input_audio.open_utterance(job_id, start_sample)
            case Generate(response_id=response_id):
                self._chunks.generation_started(response_id)
            case Synthesise(response_id=response_id):
                self._chunks.synthesis_started(response_id, job_id)
            case _:
                pass
        if refusal is not None:
            self._close_failed(job_id)
            self._mailbox.post(JobFailed(job_id, refusal.code or "", refusal.message))

    def _put_speech(self, job_id: str, request: Synthesise, payload: bytes) -> AgentVoiceBoxError | None:
        """Give a text to the workers when its turn comes; one that would be late for any caller stays without sound."""
        wait_s = self._speech_pace.take(request)
        if wait_s > LONGEST_WAIT_S:
            self._speech_pace.give_back(request)
            log.warning(
                "a text is not spoken: the call asks for more speech than can be heard", wait_s=round(wait_s, 1)
            )
            message = "this call asks for more speech than can be heard; AVB_LIMIT_CALL_SPEECH sets the limit"
            return RateLimited(message, retry_after_s=wait_s)
        if not wait_s:
            self._put_job(job_id, JobKind.TTS, payload)
            return None

        def begin() -> None:
            if self._delayed.pop(job_id, None) is not None:
                self._put_job(job_id, JobKind.TTS, payload)

        timer = asyncio.get_running_loop().call_later(wait_s, begin)
        self._delayed[job_id] = _DelayedJob(request, timer)
        self._open_jobs.delayed(job_id, wait_s)
        return None

    def open_with_audio(self, job_id: str, request: Transcribe, samples: Int16Array | None) -> None:
        """Give a recogniser an utterance whose audio came with an item. None: another gateway had it, and is gone."""
        if samples is None:
            self._open_jobs.opened(job_id, request, self._clock.monotonic_s())
            self._fail_without_audio(job_id)
            return
        self.open(job_id, request)
        if job_id in self._open_jobs:
            for entry in whole_utterance(bytes_of(samples)):
                self._outbox.put_audio(job_id, entry)
            self._open_jobs.utterance_ended(job_id, self._clock.monotonic_s())

    def _fail_without_audio(self, job_id: str) -> None:
        self._close_failed(job_id)
        self._mailbox.post(JobFailed(job_id, "audio_lost", "the item's audio was lost with its gateway; send it again"))

    def cancel(self, job_id: str) -> None:
        """Stop a job. Unknown ids are ignored."""
        self._chunks.job_cancelled(job_id)
        kind = self._open_jobs.close(job_id, "cancelled", self._clock.monotonic_s())
        if kind is None:
            return
        if kind is JobKind.STT:
            self._input_audio.close_utterance(job_id)
        if not self._drop_delayed(job_id):
            self._outbox.put(Cancel(job_id, kind, self._session))

    def cancel_all(self) -> None:
        """The session is over: none of its jobs may continue."""
        for job_id in self._open_jobs.ids():
            self.cancel(job_id)

    def probe(self, job_id: str, speech_end_sample: int) -> None:
        """Ask the recogniser for the words up to a pause."""
        self._input_audio.probe(job_id, speech_end_sample)

    def end_utterance(self, job_id: str, end_sample: int, speech_end_sample: int) -> None:
        """The utterance ends at `end_sample`: its text is due."""
        self._input_audio.end_utterance(job_id, end_sample, speech_end_sample)
        self._open_jobs.utterance_ended(job_id, self._clock.monotonic_s())

    def record(self, persists: Sequence[Persist]) -> None:
        """Have records written. They are a job, too, so a slow database never delays a call."""
        persists, self._turns = [*self._turns, *persists], []
        at_s = self._clock.wall_s()
        for number, payload in enumerate(self._record_payloads(tuple(persists))):
            # The time orders batches, in steps of a microsecond.
            submitted_s = at_s + number * RECORD_STEP_S
            job_id = f"rec_{secrets.token_hex(10)}"
            self._outbox.put(
                Submit(Job(job_id, JobKind.RECORD, self._session, payload, submitted_s, self._correlation_id))
            )

    def keep_turn(self, response_id: str, ledger: Mapping[str, object]) -> None:
        """Have the ledger of an answered turn written with the session's next records, so that it costs no job of its own."""
        self._turns.append(Persist(response_id, TURN, dict(ledger)))

    def keep_audio(self, piece: AudioPiece) -> None:
        """Have a piece of the call's audio recorded."""
        self.record([Persist(f"{self._owner}:{piece.number}", AUDIO, {"data": piece.data})])

    def record_turns(self) -> None:
        """The session has no further records here: have the ledgers written that still wait."""
        if self._turns:
            self.record(())

    def _record_payloads(self, persists: tuple[Persist, ...]) -> list[bytes]:
        """One batch, or several where it would be larger than MAX_BATCH_BYTES; a single record is never divided."""
        batch = RecordBatch(
            self._session.tenant_id,
            self._session.session_id,
            self._correlation_id,
            persists,
            audio_in_ms=self._input_audio.position_samples // MS_SAMPLES,
            owner=self._owner,
            number=self._batches,
        )
        payload = msgspec.msgpack.encode(batch)
        if len(payload) <= MAX_BATCH_BYTES or len(persists) == 1:
            self._batches += 1
            return [payload]
        half = len(persists) // 2
        return self._record_payloads(persists[:half]) + self._record_payloads(persists[half:])

    def on_health_checked(self, absent: frozenset[JobKind]) -> None:
        """Give up open jobs whose workers are `absent`, and jobs that have timed out; new jobs of these kinds fail at once."""
        self._absent = absent
        for job_id, kind in self._open_jobs.of_kinds(absent).items():
            self._give_up(job_id, kind)
            self._fail_without_worker(job_id, kind)
        for job_id, kind in self._open_jobs.overdue(self._clock.monotonic_s()).items():
            self._give_up(job_id, kind)
            # The ids are given: the health monitor calls this, outside of the call's own tasks.
            ids = {"tenant_id": self._session.tenant_id, "session_id": self._session.session_id}
            log.warning(NO_ANSWER, kind=kind, job_id=job_id, correlation_id=self._correlation_id, **ids)
            self._mailbox.post(JobFailed(job_id, "job_timeout", NO_ANSWER))

    def on_batch_lost(self, batch: Sequence[Dispatch]) -> None:
        """The store did not take a batch: jobs in it, and jobs whose audio was in it, have failed. The outbox keeps records."""
        failed: dict[str, None] = {}
        for action in batch:
            match action:
                case Submit(job=job) if job.kind is not JobKind.RECORD:
                    failed[job.job_id] = None
                case AppendAudio(job_id=job_id):
                    failed[job_id] = None
                case _:
                    pass
        for job_id in failed:
            self._close_failed(job_id)
            self._mailbox.post(JobFailed(job_id, "broker_lost", "the store can't be reached"))

    def restore(self, restored: RestoredSession, point: RestorePoint) -> None:
        """Take over another gateway's jobs, and repeat what its last dispatch may not have done: all of it is idempotent."""
        at_s = self._clock.monotonic_s()
        for job_id, kind in restored.engine.state.jobs_out().items():
            self._open_jobs.restore(job_id, JobKind(kind), at_s)
        self._restore_chunks(restored, point)
        for job_id, request in point.unclaimed.items():
            self._submit(job_id, kind_of(request), request)
        self._outbox.put(*point.marks)
        for job_id in point.lost:
            self._outbox.put(Cancel(job_id, JobKind.STT, self._session))
            self._fail_without_audio(job_id)
        kinds = {each.job_id: kind_of(each.request) for each in restored.effects if isinstance(each, OpenJob)}
        for effect in restored.recent:
            if isinstance(effect, CancelJob) and effect.job_id in kinds:
                self._outbox.put(Cancel(effect.job_id, kinds[effect.job_id], self._session))
        persists = [each for each in restored.recent if isinstance(each, Persist)]
        if persists:
            self.record(persists)

    def _restore_chunks(self, restored: RestoredSession, point: RestorePoint) -> None:
        for response in restored.engine.state.responses.values():
            jobs = [segment.job_id for segment in response.segment_queue.segments if segment.job_id is not None]
            self._chunks.restore(response.id, jobs, is_provisional=response.is_provisional)
        sent = {(each.job_id, each.sequence) for each in restored.effects if isinstance(each, SendAudio)}
        for (job_id, sequence), pcm in point.chunks.items():
            if (job_id, sequence) not in sent:
                self._chunks.put(job_id, sequence, pcm)

    def _fail_without_worker(self, job_id: str, kind: JobKind) -> None:
        self._mailbox.post(JobFailed(job_id, MODE_OF[kind].value, "no worker is there for this"))

    def _give_up(self, job_id: str, kind: JobKind) -> None:
        """Close a job that will not be answered; a worker that takes it after all finds it cancelled."""
        self._close_failed(job_id)
        if not self._drop_delayed(job_id):
            self._outbox.put(Cancel(job_id, kind, self._session))

    def _drop_delayed(self, job_id: str) -> bool:
        """Forget a text that no worker has yet. False: workers may have the job."""
        delayed = self._delayed.pop(job_id, None)
        if delayed is None:
            return False
        delayed.timer.cancel()
        self._speech_pace.give_back(delayed.request)
        return True

    def _close_failed(self, job_id: str) -> None:
        if self._open_jobs.close(job_id, "failed", self._clock.monotonic_s()) is JobKind.STT:
            self._input_audio.close_utterance(job_id)

    def _submit(self, job_id: str, kind: JobKind, request: JobRequest) -> None:
        self._put_job(job_id, kind, msgspec.msgpack.encode(request))

    def _put_job(self, job_id: str, kind: JobKind, payload: bytes) -> None:
        self._outbox.put(Submit(Job(job_id, kind, self._session, payload, self._clock.wall_s(), self._correlation_id)))
