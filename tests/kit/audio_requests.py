"""Requests to `/v1/audio` of a gateway under test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from redis import Redis

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.ports.voice import Voice
from agentvoicebox.workers.runner import Runner, Task
from tests.kit.described_answers import described_answers
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
    hooks = described_answers()
    async with httpx.AsyncClient(
        base_url=base, headers=bearer(key), trust_env=False, timeout=PATIENCE_S, event_hooks=hooks
    ) as made:
        yield made


async def transcribe(http: httpx.AsyncClient, file: bytes, name: str = "speech.wav", **fields: Any) -> httpx.Response:
    """The answer to a recording."""
    return await http.post(TRANSCRIPTIONS, files={"file": (name, file)}, data={"model": "whisper-1", **fields})


def left_in(redis_url: str) -> list[str]:
    """Keys of requests that the store still has. Fences of records outlive their request."""
    with Redis.from_url(redis_url, decode_responses=True) as store:
        keys = list(map(str, store.scan_iter()))
    return [key for key in keys if "/audio_" in key and not key.startswith("avb:job:record:")]


@asynccontextmanager
async def worker_doing(redis_url: str, kind: JobKind, work: Callable[[Task], Awaitable[None]]) -> AsyncIterator[None]:
    """A worker that does something else."""
    broker, stop = RedisBroker(redis_url), asyncio.Event()
    running = asyncio.create_task(Runner(broker, kind, "other", slots=4, work=work).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await broker.close()


async def ask(served: Gateway, body: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request over a socket of one's own, whose answer is not read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1_024)
    content = httpx.Request("POST", "http://x", json=body).content
    writer.write(b"POST %s HTTP/1.1\r\nhost: localhost\r\n" % SPEECH.encode())
    writer.write(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
    await writer.drain()
    return reader, writer
