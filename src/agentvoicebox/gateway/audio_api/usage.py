"""What a request for speech or a transcript used: charged to its limits, and recorded for its tenant."""

import asyncio
import secrets

import msgspec

from agentvoicebox.engine.effects import Persist
from agentvoicebox.engine.response import AUDIO_TOKEN_MS
from agentvoicebox.errors import BrokerLost
from agentvoicebox.gateway.admission.quota import Quota
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.ports.broker import Job, JobKind, SessionRef, Submit
from agentvoicebox.storage.records import RecordBatch
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.wire.speech_events import SpeechUsage

TOKEN_BYTES = 4  # of English text; an estimate, because speech engines count no tokens
RECORDING_TOKEN_MS = 100  # of a caller's audio, as OpenAI counts it

log = get_logger(__name__)


def speech_usage(text: str, audio_ms: float) -> SpeechUsage:
    """Of a text and its speech."""
    return SpeechUsage(_text_tokens(text), round(audio_ms / AUDIO_TOKEN_MS))


def transcription_usage(recording_ms: float, text: str) -> SpeechUsage:
    """Of a recording and its text."""
    return SpeechUsage(round(recording_ms / RECORDING_TOKEN_MS), _text_tokens(text))


async def count_usage(
    state: GatewayState,
    owner: SessionRef,
    quota: Quota,
    used: SpeechUsage,
    *,
    audio_in_ms: float = 0.0,
    audio_out_ms: float = 0.0,
) -> None:
    """Charge and record what a request used so far, once, at its end, whether it succeeded or not."""
    audio = {"audio_in_ms": round(audio_in_ms), "audio_out_ms": round(audio_out_ms)}
    log.info("a request for audio is over", tenant_id=owner.tenant_id, request_id=owner.session_id, **audio)
    if not used.total_tokens:
        return
    quota.charge_recording(audio_in_ms / 1000)
    quota.charge_tokens(used.total_tokens)
    usage = {
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "output_token_details": {"audio_tokens": round(audio_out_ms / AUDIO_TOKEN_MS)},
    }
    batch = RecordBatch(
        owner.tenant_id,
        owner.session_id,
        records=(Persist(f"use_{secrets.token_hex(10)}", "response", {"usage": usage}),),
        audio_in_ms=round(audio_in_ms),
        is_request=True,
    )
    payload = msgspec.msgpack.encode(batch)
    job = Job(f"rec_{secrets.token_hex(10)}", JobKind.RECORD, owner, payload, state.clock.wall_s())
    try:
        await asyncio.gather(quota.settle(), state.broker.dispatch([Submit(job)]))
    except BrokerLost:
        log.error("the usage of a request could not be recorded", tenant_id=owner.tenant_id, tokens=used.total_tokens)


def _text_tokens(text: str) -> int:
    return -(-len(text.encode()) // TOKEN_BYTES)
