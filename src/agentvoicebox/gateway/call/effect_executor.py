"""Carries each effect to where it belongs, in two steps.

First `apply`: jobs, cancels, marks in the caller's audio, records. Then, once the store has the log of the inputs that caused
them, `emit`: what the client sees. So no client ever sees an event that a restored session would not know of.
"""

from collections.abc import Sequence

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

    def apply(self, effects: Sequence[Effect]) -> None:
        """Do what concerns jobs, records and the caller's audio."""
        persists: list[Persist] = []
        for effect in effects:
            match effect:
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
                case Send() | SendAudio() | Close():
                    pass  # for `emit`
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
                case Close(code=code, reason=reason):
                    self._output.close(code, reason)
                case _:
                    pass  # for `apply`
