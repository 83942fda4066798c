"""The answer to one request for speech: a file in its format, or events with its bytes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from agentvoicebox.audio.pcm import samples_of
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.errors import AgentVoiceBoxError, InvalidEvent
from agentvoicebox.gateway.admission.quota import Quota
from agentvoicebox.gateway.audio.file_encoder import CONTENT_TYPES, new_encoder
from agentvoicebox.gateway.audio_api.request_jobs import request_jobs
from agentvoicebox.gateway.audio_api.speech import speak
from agentvoicebox.gateway.audio_api.usage import count_usage, speech_usage
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.wire.faults import rest_body_of
from agentvoicebox.wire.speech_events import EVENTS_TYPE, as_event, delta_event, done_event, error_event
from agentvoicebox.wire.speech_request import SpeechRequest


class SpeechWork:
    """One request.

    Args:
        owner: names its jobs.
        quota: what its key may use.
        request: what is to be said.

    Attributes:
        content_type: of the answer.
    """

    def __init__(self, state: GatewayState, owner: SessionRef, quota: Quota, request: SpeechRequest) -> None:
        self.content_type = EVENTS_TYPE if request.is_events else CONTENT_TYPES[request.format]
        self._state = state
        self._owner = owner
        self._quota = quota
        self._request = request
        self._samples = 0

    async def body(self) -> AsyncGenerator[bytes, None]:
        """The answer as it is made.

        Raises:
            InvalidEvent: nothing in the text can be spoken. As `RequestJobs`.
        """
        try:
            async with aclosing(self._file()) as parts:
                async for part in parts:
                    yield as_event(delta_event(part)) if self._request.is_events else part
            if self._request.is_events:
                yield as_event(done_event(speech_usage(self._request.text, self._ms)))
        finally:
            await count_usage(
                self._state,
                self._owner,
                self._quota,
                speech_usage(self._request.text if self._samples else "", self._ms),
                audio_out_ms=self._ms,
            )

    def error_body(self, error: AgentVoiceBoxError) -> bytes:
        """See `Work`."""
        return as_event(error_event(rest_body_of(error))) if self._request.is_events else b""

    async def _file(self) -> AsyncGenerator[bytes, None]:
        encoder = new_encoder(self._request.format)
        async with request_jobs(self._state, self._owner) as jobs, aclosing(speak(jobs, self._request)) as chunks:
            async for pcm in chunks:
                samples = samples_of(pcm)
                self._samples += samples.size
                if part := await asyncio.to_thread(encoder.feed, samples):
                    yield part
        if not self._samples:
            raise InvalidEvent("There is nothing in it that can be spoken.", code="invalid_value", param="input")
        if part := await asyncio.to_thread(encoder.close):
            yield part

    @property
    def _ms(self) -> float:
        return self._samples * 1000 / OUTPUT_RATE_HZ
