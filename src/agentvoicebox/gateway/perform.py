"""Carries each effect to where it belongs, in two strokes.

First what goes inward (jobs, cancels, marks in the caller's audio, records), then, once the store has the log of the
inputs it all came from, what the client sees. So no client ever saw an event that a restored session would not know of.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence

import msgspec

from agentvoicebox.audio.rates import PCM_BYTES
from agentvoicebox.clock import Clock
from agentvoicebox.engine.effects import (
    CancelJob,
    Close,
    DropAudio,
    Effect,
    EndUtterance,
    OpenJob,
    Persist,
    ProbeUtterance,
    Send,
    SendAudio,
    SetInputFormat,
    SetTurnDetection,
)
from agentvoicebox.engine.inputs import Input, JobFailed
from agentvoicebox.engine.jobs import Generate, JobRequest, Speak, Transcribe
from agentvoicebox.gateway.ingest import Ingest
from agentvoicebox.gateway.loudspeaker import Loudspeaker
from agentvoicebox.gateway.open_jobs import OpenJobs, kind_of
from agentvoicebox.gateway.outbox import Outbox
from agentvoicebox.gateway.quota import Quota
from agentvoicebox.gateway.resume import MS_SAMPLES, Restored, Standing, place_of, unseen
from agentvoicebox.gateway.shelf import ChunkShelf
from agentvoicebox.gateway.socket import Writer
from agentvoicebox.gateway.voice import Voice
from agentvoicebox.ports.broker import Cancel, Job, JobKind, SessionRef, Submit
from agentvoicebox.storage.records import RecordBatch
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.telemetry.tap import TurnTap
from agentvoicebox.wire.server_events import (
    ConversationItemTruncated,
    ErrorEvent,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDone,
    ResponseOutputTextDelta,
    ServerEvent,
    TurnTrace,
)


class Performer:
    """One session's hands.

    Attributes:
        absent: kinds of job that are not handed out, as nobody would take them.
    """

    def __init__(
        self,
        session: SessionRef,
        *,
        trace_id: str,
        outbox: Outbox,
        writer: Writer,
        ear: Ingest,
        jobs: OpenJobs,
        shelf: ChunkShelf,
        loudspeaker: Loudspeaker,
        tap: TurnTap,
        clock: Clock,
        metrics: Metrics,
        wants_trace: bool,
        quota: Quota,
        post: Callable[[Input], None],
        unanswerable: Callable[[str, JobKind], None],
    ) -> None:
        """`unanswerable` is told of a job that was not handed out, because no worker would take it."""
        self._session = session
        self._trace_id = trace_id
        self._outbox = outbox
        self._writer = writer
        self._ear = ear
        self._jobs = jobs
        self._shelf = shelf
        self._loudspeaker = loudspeaker
        self._voice = Voice()
        self._tap = tap
        self._clock = clock
        self._metrics = metrics
        self._wants_trace = wants_trace
        self._quota = quota
        self._post = post
        self._unanswerable = unanswerable
        self.absent: frozenset[JobKind] = frozenset()

    # -- a session that is taken over ----------------------------------------------------------------------------

    def go_on(self, restored: Restored, standing: Standing) -> None:
        """Stand where another gateway stood, and do what its last dispatch may have failed to do: all of it bears repetition."""
        state = restored.engine.state
        at_s = self._clock.wall_s()
        for job_id, kind in state.jobs_out().items():
            self._jobs.go_on(job_id, JobKind(kind), at_s)
        for response in state.responses.values():
            spoken = [segment.job_id for segment in response.speech.segments if segment.job_id is not None]
            self._shelf.go_on(response.id, spoken, is_provisional=response.is_provisional)
        sent = {(each.job_id, each.sequence) for each in restored.effects if isinstance(each, SendAudio)}
        for (job_id, sequence), pcm in standing.chunks.items():
            if (job_id, sequence) not in sent:
                self._shelf.put(job_id, sequence, pcm)
        self._ear.go_on(state.buffer.start_sample, state.buffer.turn)
        for job_id, next_sample in standing.reached.items():
            self._ear.go_on_utterance(job_id, next_sample)
        for job_id, request in standing.unclaimed.items():
            self._submit(job_id, kind_of(request), request)
        self._outbox.put(*standing.marks)
        kinds = {each.job_id: kind_of(each.request) for each in restored.effects if isinstance(each, OpenJob)}
        for effect in restored.recent:
            if isinstance(effect, CancelJob) and effect.job_id in kinds:
                self._outbox.put(Cancel(effect.job_id, kinds[effect.job_id], self._session))
        persists = [each for each in restored.recent if isinstance(each, Persist)]
        if persists:
            self._record(persists)

    def send_again(self, restored: Restored, standing: Standing, last_event_id: str) -> bool:
        """Send what the client has not got after its last event. False when that is not known: then nothing is sent."""
        effects = unseen(restored.effects, last_event_id)
        place = place_of(effects, last_event_id)
        if place is None:
            return False
        for index, effect in enumerate(effects):
            events = self._events_of(effect, standing.chunks)
            ids = [event.event_id for event in events]
            if index == place and last_event_id in ids:
                events = events[ids.index(last_event_id) + 1 :]
            for event in events if index >= place else ():
                self._writer.send(event)
        return True

    def _events_of(self, effect: Effect, chunks: Mapping[tuple[str, int], bytes]) -> list[ServerEvent]:
        match effect:
            case Send(event=ResponseOutputAudioDone() as event):
                tail = self._voice.tail(event)
                return [event] if tail is None else [tail, event]
            case Send(event=event):
                return [event]
            case SendAudio():
                return [*self._voice.deltas(effect, chunks.get((effect.job_id, effect.sequence), b""))]
            case _:
                return []

    # -- as it goes on -------------------------------------------------------------------------------------------

    def inward(self, effects: Sequence[Effect]) -> None:
        """Put what the store and the ear must do on its way."""
        persists: list[Persist] = []
        for effect in effects:
            match effect:
                case OpenJob(job_id=job_id, request=request):
                    self._open(job_id, request)
                case CancelJob(job_id=job_id):
                    self._cancel(job_id)
                case ProbeUtterance(job_id=job_id, speech_end_sample=speech_end_sample):
                    self._ear.probe(job_id, speech_end_sample)
                case EndUtterance(job_id=job_id, end_sample=end_sample, speech_end_sample=speech_end_sample):
                    self._ear.end_utterance(job_id, end_sample, speech_end_sample)
                    self._jobs.ended(job_id, self._clock.wall_s())
                case SetTurnDetection(turn_detection=turn_detection):
                    self._ear.set_turn_detection(turn_detection)
                case SetInputFormat(format=format):
                    self._ear.set_format(format)
                case DropAudio(before_sample=before_sample, resets_turn=resets_turn):
                    self._ear.drop_before(before_sample, resets_turn)
                case Persist():
                    persists.append(effect)
                case Send(event=ResponseCreated(response=response)):
                    self._shelf.response_created(response.id)
                case Send() | SendAudio() | Close():
                    pass  # outward
        if persists:
            self._record(persists)

    def outward(self, effects: Sequence[Effect]) -> None:
        """Show the client what happened."""
        for effect in effects:
            match effect:
                case Send(event=event):
                    self._send(event)
                case SendAudio():
                    self._send_audio(effect)
                case Close(code=code, reason=reason):
                    self._writer.close(code, reason)
                case _:
                    pass  # inward

    def cancel_all(self) -> None:
        """The session is over, maybe by a fault: nothing of it may go on."""
        for job_id in self._jobs.ids():
            self._cancel(job_id)

    def job_lost(self, job_id: str) -> None:
        """The store did not take a job, or a piece of its audio: nobody will work on it, or not on all of it."""
        if self._jobs.over(job_id, "failed", self._clock.wall_s()) is JobKind.STT:
            self._ear.close_utterance(job_id)

    def give_up(self, job_id: str, kind: JobKind) -> None:
        """Nothing will come of a job any more; should a worker turn up for it after all, it is told to leave it."""
        self.job_lost(job_id)
        self._outbox.put(Cancel(job_id, kind, self._session))

    def _open(self, job_id: str, request: JobRequest) -> None:
        if kind_of(request) in self.absent:
            self._unanswerable(job_id, kind_of(request))
            return
        kind = self._jobs.opened(job_id, request, self._clock.wall_s())
        refusal = self._quota.spent() if isinstance(request, Generate) else None
        if refusal is None:
            self._submit(job_id, kind, request)
        match request:
            case Transcribe(start_sample=start_sample):
                self._ear.open_utterance(job_id, start_sample)
            case Generate(response_id=response_id):
                self._shelf.writing_began(response_id)
            case Speak(response_id=response_id):
                self._shelf.speaking_began(response_id, job_id)
            case _:
                pass
        if refusal is not None:
            self.job_lost(job_id)
            self._post(JobFailed(job_id, refusal.code or "", refusal.message))

    def _submit(self, job_id: str, kind: JobKind, request: JobRequest) -> None:
        payload = msgspec.msgpack.encode(request)
        self._outbox.put(Submit(Job(job_id, kind, self._session, payload, self._clock.wall_s(), self._trace_id)))

    def _cancel(self, job_id: str) -> None:
        self._shelf.job_cancelled(job_id)
        kind = self._jobs.over(job_id, "cancelled", self._clock.wall_s())
        if kind is None:
            return
        if kind is JobKind.STT:
            self._ear.close_utterance(job_id)
        self._outbox.put(Cancel(job_id, kind, self._session))

    def _record(self, persists: Sequence[Persist]) -> None:
        """Records leave as a job, too: a slow database never touches a call."""
        batch = RecordBatch(
            self._session.tenant_id,
            self._session.session_id,
            self._trace_id,
            tuple(persists),
            audio_in_ms=self._ear.position_samples // MS_SAMPLES,
        )
        job = Job(
            f"rec_{secrets.token_hex(10)}",
            JobKind.RECORD,
            self._session,
            msgspec.msgpack.encode(batch),
            self._clock.wall_s(),
            self._trace_id,
        )
        self._outbox.put(Submit(job))

    def _send_audio(self, effect: SendAudio) -> None:
        pcm = self._shelf.take(effect.job_id, effect.sequence)
        for delta in self._voice.deltas(effect, pcm):
            self._writer.send(delta)
        self._loudspeaker.play(len(pcm) // PCM_BYTES)
        self._output_left(effect.response_id)

    def _send(self, event: ServerEvent) -> None:
        match event:
            case ResponseOutputAudioDone():
                tail = self._voice.tail(event)
                if tail is not None:
                    self._writer.send(tail)
            case ErrorEvent(error=error):
                self._metrics.error_sent(error.type)
            case _:
                pass
        self._writer.send(event)
        match event:
            case ResponseOutputTextDelta(response_id=response_id):
                self._output_left(response_id)
            case ConversationItemTruncated():
                self._loudspeaker.stop()
            case ResponseDone(response=response):
                if response.status == "cancelled" and response.conversation_id is not None:
                    self._loudspeaker.stop()
                self._shelf.response_over(response.id)
                self._quota.used(0 if response.usage is None else response.usage.total_tokens)
                self._show(response.id, self._tap.response_over(response.id, self._clock.wall_s()))
            case _:
                pass

    def _output_left(self, response_id: str) -> None:
        turn = self._tap.output_left(response_id, self._clock.wall_s())
        if turn is not None:
            self._metrics.turn_answered(turn["parts_ms"], turn["speculation"])
            self._show(response_id, turn)

    def _show(self, response_id: str, turn: dict[str, object] | None) -> None:
        if self._wants_trace and turn is not None:
            self._writer.send(TurnTrace(event_id=f"event_{turn['phase']}_{response_id}", turn=turn))
