"""Requests to `/v1/audio` of a gateway under test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from redis import Redis

from agentvoicebox.ports.providers import Voice
from tests.kit.gateway import Gateway
from tests.kit.tenant_gateway import bearer
from tests.kit.waiting import PATIENCE_S

SPEECH, TRANSCRIPTIONS = "/v1/audio/speech", "/v1/audio/transcriptions"
SAY = {"model": "tts-1", "input": "Hello there, how are you?", "voice": "alloy", "response_format": "pcm"}
VOICES = [Voice("joe", "piper", "en-US"), Voice("alloy", "piper", "en-US")]
LONG = " ".join(f"This is sentence number {number}, and it is not short." for number in range(40))


@asynccontextmanager
async def web(served: Gateway, key: str = "any") -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client that shows a key."""
    base = f"http://127.0.0.1:{served.port}"
    async with httpx.AsyncClient(base_url=base, headers=bearer(key), trust_env=False, timeout=PATIENCE_S) as made:
        yield made


async def transcribe(http: httpx.AsyncClient, file: bytes, name: str = "speech.wav", **fields: Any) -> httpx.Response:
    """The answer to a recording."""
    return await http.post(TRANSCRIPTIONS, files={"file": (name, file)}, data={"model": "whisper-1", **fields})


def left_in(redis_url: str) -> list[str]:
    """Keys of requests that the store still has. Fences of records outlive their request."""
    with Redis.from_url(redis_url, decode_responses=True) as store:
        keys = list(map(str, store.scan_iter()))
    return [key for key in keys if "/audio_" in key and not key.startswith("avb:job:record:")]
