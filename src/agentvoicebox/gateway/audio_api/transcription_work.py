"""The answer to one request for a transcript: in its format, or events with its words as they are known."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.gateway.admission.quota import Quota
from agentvoicebox.gateway.audio.recording import Recording
from agentvoicebox.gateway.audio_api.request_jobs import request_jobs
from agentvoicebox.gateway.audio_api.transcription import transcribe
from agentvoicebox.gateway.audio_api.usage import count_usage, transcription_usage
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.wire.faults import rest_body_of
from agentvoicebox.wire.speech_events import EVENTS_TYPE, as_event, error_event
from agentvoicebox.wire.transcript import (
    CONTENT_TYPES,
    RecordingTranscript,
    TranscriptSegment,
    body_of,
    delta_event,
    done_event,
)
from agentvoicebox.wire.transcription_request import TranscriptionRequest


class TranscriptionWork:
    """One request.

    Args:
        owner: names its jobs.
        quota: what its key may use.
        recording: whose bytes are complete.

    Attributes:
        content_type: of the answer.
    """

    def __init__(
        self, state: GatewayState, owner: SessionRef, quota: Quota, request: TranscriptionRequest, recording: Recording
    ) -> None:
        self.content_type = EVENTS_TYPE if request.is_events else CONTENT_TYPES[request.format]
        self._state = state
        self._owner = owner
        self._quota = quota
        self._request = request
        self._recording = recording
        self._segments: list[TranscriptSegment] = []

    async def body(self) -> AsyncGenerator[bytes, None]:
        """The answer as it is made. Raises as `RequestJobs` and `Recording.pieces`."""
        try:
            async with aclosing(self._heard()) as segments:
                async for segment in segments:
                    is_first = not self._segments
                    self._segments.append(segment)
                    if self._request.is_events:
                        yield as_event(delta_event(segment.text, is_first=is_first))
            transcript = self._transcript()
            if self._request.is_events:
                yield as_event(done_event(transcript))
            else:
                yield body_of(transcript, self._request.format)
        finally:
            transcript = self._transcript()
            ms = transcript.duration_s * 1000
            used = transcription_usage(ms, transcript.text)
            await count_usage(self._state, self._owner, self._quota, used, audio_in_ms=ms)

    def error_body(self, error: AgentVoiceBoxError) -> bytes:
        """See `Work`."""
        return as_event(error_event(rest_body_of(error)))

    async def _heard(self) -> AsyncGenerator[TranscriptSegment, None]:
        async with (
            request_jobs(self._state, self._owner) as jobs,
            aclosing(self._recording.pieces()) as pieces,
            aclosing(transcribe(jobs, pieces, self._request)) as segments,
        ):
            async for segment in segments:
                yield segment

    def _transcript(self) -> RecordingTranscript:
        """What is known so far; the length of a recording that was not read to its end is that of its words."""
        seconds = self._recording.seconds or (self._segments[-1].end_s if self._segments else 0.0)
        return RecordingTranscript(tuple(self._segments), seconds, self._request.language or "")
