"""`POST /v1/audio/speech` and `POST /v1/audio/transcriptions`, as in OpenAI's API.

Decides who is served, and when; the work is done by `audio_api`, over the same workers as calls. `wire` reads the requests and
shapes the answers. Nothing of a body is read before its key was judged.
"""

import asyncio
import secrets
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response

from agentvoicebox.errors import AgentVoiceBoxError, ClientError, Overloaded
from agentvoicebox.gateway.admission.admission_control import Authorization
from agentvoicebox.gateway.audio.recording import MAX_FILE_BYTES, Recording
from agentvoicebox.gateway.audio_api.request_jobs import require_workers
from agentvoicebox.gateway.audio_api.speech_work import SpeechWork
from agentvoicebox.gateway.audio_api.transcription_work import TranscriptionWork
from agentvoicebox.gateway.http.audio_openapi import (
    SPEECH_ANSWER,
    SPEECH_BODY,
    TRANSCRIPTION_ANSWER,
    TRANSCRIPTION_BODY,
)
from agentvoicebox.gateway.http.authorization import authorize
from agentvoicebox.gateway.http.credentials import KEYED
from agentvoicebox.gateway.http.error_response import error_response
from agentvoicebox.gateway.http.form import read_form
from agentvoicebox.gateway.http.json_body import read_json
from agentvoicebox.gateway.http.streamed_answer import StreamedAnswer
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.http_server.described import refusals
from agentvoicebox.ports.broker import JobKind, SessionRef
from agentvoicebox.ports.policy import Action
from agentvoicebox.wire.speech_request import read_speech_request
from agentvoicebox.wire.transcription_request import FILE, read_transcription_request

MAX_FORM_BYTES = MAX_FILE_BYTES + 1024 * 1024
UPLOAD_S = 300.0  # for all of a recording; 25 MiB in it are 90 kB a second


def add_audio(app: FastAPI, state: GatewayState) -> None:
    """Add the routes."""
    refused = {**KEYED, **refusals(400, 413)}
    described: dict[str, Any] = {"tags": ["audio"], "response_model": None, "response_class": Response}

    @app.post(
        "/v1/audio/speech",
        summary="Text to speech",
        responses={**refused, **SPEECH_ANSWER},
        openapi_extra=SPEECH_BODY,
        **described,
    )
    async def speech(request: Request) -> Response:
        authorization = await _admit(state, request, "audio.speech", JobKind.TTS)
        owner = _owner(authorization)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(state.request_slots.taken(owner.tenant_id))
            asked = read_speech_request(await read_json(request), [voice.name for voice in state.voices])
            work = SpeechWork(state, owner, authorization.quota, asked)
            return StreamedAnswer(work, stack.pop_all(), partial(state.metrics.audio_request_over, "speech"))

    @app.post(
        "/v1/audio/transcriptions",
        summary="Speech to text",
        responses={**refused, **TRANSCRIPTION_ANSWER},
        openapi_extra=TRANSCRIPTION_BODY,
        **described,
    )
    async def transcriptions(request: Request) -> Response:
        authorization = await _admit(state, request, "audio.transcription", JobKind.STT)
        owner = _owner(authorization)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(state.request_slots.taken(owner.tenant_id))
            recording = Recording()
            stack.push_async_callback(recording.close)
            try:
                async with asyncio.timeout(UPLOAD_S):
                    fields = await read_form(request, FILE, recording.feed, most_bytes=MAX_FORM_BYTES)
            except TimeoutError:
                error = ClientError(f"The recording did not come within {UPLOAD_S:.0f} s.", code="request_timeout")
                return error_response(error, 408)
            asked = read_transcription_request(fields)
            work = TranscriptionWork(state, owner, authorization.quota, asked, recording)
            return StreamedAnswer(work, stack.pop_all(), partial(state.metrics.audio_request_over, "transcription"))

    @app.post("/v1/audio/translations", include_in_schema=False)
    async def translations(request: Request) -> Response:
        await authorize(state, request, action="audio.transcription")
        error = ClientError(
            "Recordings are not translated here; POST /v1/audio/transcriptions gives their words.", code="unknown_url"
        )
        return error_response(error, 404)


async def _admit(state: GatewayState, request: Request, action: Action, kind: JobKind) -> Authorization:
    """Raises as `AdmissionControl.authorize`, and Overloaded or RateLimited when the work can't be done now."""
    authorization = await authorize(state, request, action=action)
    if state.sessions.is_draining:
        raise Overloaded("This server is shutting down; please try again.", code="shutting_down", retry_after_s=1.0)
    refusal: AgentVoiceBoxError | None = (
        state.health.refusal(len(state.sessions)) or authorization.quota.token_refusal()
    )
    if refusal is not None:
        raise refusal
    require_workers(state, kind)
    return authorization


def _owner(authorization: Authorization) -> SessionRef:
    """Names the jobs of one request in the store."""
    return SessionRef(authorization.principal.tenant_id, f"audio_{secrets.token_hex(10)}")
