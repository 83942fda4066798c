"""Carries each effect to where it belongs, in two steps.

First `apply`: jobs, cancels, marks in the caller's audio, records. Then, once the store has the log of the inputs that caused
them, `emit`: what the client sees. So no client ever sees an event that a restored session would not know of.
"""

from collections.abc import Mapping, Sequence

from agentvoicebox.audio.pcm import Int16Array
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
    SendRetrieved,
    SetInputFormat,
    SetTurnDetection,
)
from agentvoicebox.engine.jobs import Transcribe
from agentvoicebox.gateway.audio.audio_chunk_buffer import AudioChunkBuffer
from agentvoicebox.gateway.audio.ingest import Ingest
from agentvoicebox.gateway.call.client_output import ClientOutput
from agentvoicebox.gateway.call.session_jobs import SessionJobs
from agentvoicebox.wire.server_events import ResponseCreated


class EffectExecutor:
    """One session's."""

    def __init__(
        self, jobs: SessionJobs, output: ClientOutput, *, input_audio: Ingest, chunks: AudioChunkBuffer
    ) -> None:
        self._jobs = jobs
        self._output = output
        self._input_audio = input_audio
        self._chunks = chunks
        self._item_audio: dict[int, Int16Array] = {}

    def hold_item_audio(self, item_audio: Mapping[int, Int16Array]) -> None:
        """An input of the present batch came with this audio, by id: 16 kHz samples, for the jobs that it opens."""
        self._item_audio |= item_audio

    def apply(self, effects: Sequence[Effect]) -> None:
        """Do what concerns jobs, records and the caller's audio."""
        persists: list[Persist] = []
        for effect in effects:
            match effect:
                case OpenJob(job_id=job_id, request=Transcribe(item_audio_id=int(audio_id)) as request):
                    self._jobs.open_with_audio(job_id, request, self._item_audio.get(audio_id))
                case OpenJob(job_id=job_id, request=request):
                    self._jobs.open(job_id, request)
                case CancelJob(job_id=job_id):
                    self._jobs.cancel(job_id)
                case ProbeUtterance(job_id=job_id, speech_end_sample=speech_end_sample):
                    self._jobs.probe(job_id, speech_end_sample)
                case EndUtterance(job_id=job_id, end_sample=end_sample, speech_end_sample=speech_end_sample):
                    self._jobs.end_utterance(job_id, end_sample, speech_end_sample)
                case SetTurnDetection(turn_detection=turn_detection):
                    self._input_audio.set_turn_detection(turn_detection)
                case SetInputFormat(format=format):
                    self._input_audio.set_format(format)
                case DropAudio(before_sample=before_sample, resets_turn=resets_turn):
                    self._input_audio.drop_before(before_sample, resets_turn)
                case Persist():
                    persists.append(effect)
                case Send(event=ResponseCreated(response=response)):
                    self._chunks.response_created(response.id)
                case Send() | SendAudio() | SendRetrieved() | Close():
                    pass  # for `emit`
        self._item_audio.clear()
        if persists:
            self._jobs.record(persists)

    def emit(self, effects: Sequence[Effect]) -> None:
        """Show the client what happened."""
        for effect in effects:
            match effect:
                case Send(event=event):
                    self._output.send(event)
                case SendAudio():
                    self._output.send_audio(effect)
                case SendRetrieved(start_sample=start_sample, end_sample=end_sample):
                    audio = self._input_audio.audio_between(start_sample, end_sample)
                    self._output.send_retrieved(effect, audio)
                case Close(code=code, reason=reason):
                    self._output.close(code, reason)
                case _:
                    pass  # for `apply`
