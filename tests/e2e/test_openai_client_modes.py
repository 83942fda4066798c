"""Sessions that only transcribe, and sessions that only write, with the official client: the same addresses as a call."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.audio.pcm import bytes_of
from agentvoicebox.cli.local_server import LocalServer
from agentvoicebox.client.line import SpokenLine

pytestmark = pytest.mark.requirement("A16.1")

Say = Callable[[str], SpokenLine]
LINE = "Where is my parcel?"
FRAME = 2_400  # samples: 100 ms
COMPLETED = "conversation.item.input_audio_transcription.completed"
LISTENING: dict[str, Any] = {"transcription": {"model": "gpt-4o-transcribe", "language": "en"}}
TRANSCRIPTION: Any = {"type": "transcription", "audio": {"input": LISTENING}}


@asynccontextmanager
async def connected(client: AsyncOpenAI, **options: Any) -> AsyncIterator[AsyncRealtimeConnection]:
    async with client, client.realtime.connect(**options) as connection:
        yield connection


def client_of(server: LocalServer, key: str = "any") -> AsyncOpenAI:
    return AsyncOpenAI(base_url=server.url, api_key=key)


async def speak(connection: AsyncRealtimeConnection, line: SpokenLine) -> None:
    """The line in real time, then silence until cancelled."""
    loop = asyncio.get_running_loop()
    due_s, left = loop.time(), line.pcm
    while True:
        frame, left = left[:FRAME], left[FRAME:]
        frame = np.pad(frame, (0, FRAME - len(frame)))
        await connection.input_audio_buffer.append(audio=base64.b64encode(bytes_of(frame)).decode())
        due_s += 0.1
        await asyncio.sleep(max(0.0, due_s - loop.time()))


async def until(connection: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """The events up to the first of a kind."""
    events: list[Any] = []
    async with asyncio.timeout(PATIENCE_S):
        async for event in connection:
            events.append(event)
            assert event.type != "error", event
            if event.type == kind:
                break
    return events


async def while_speaking(
    connection: AsyncRealtimeConnection, line: SpokenLine, wait: Callable[[], Awaitable[list[Any]]]
) -> list[Any]:
    microphone = asyncio.create_task(speak(connection, line))
    try:
        return await wait()
    finally:
        microphone.cancel()
        await asyncio.wait([microphone])


@pytest.mark.parametrize("is_configured", [True, False])
async def test_a_transcription_session_writes_down_a_live_line_and_answers_nothing(
    server: LocalServer, say: Say, is_configured: bool
) -> None:
    async with connected(client_of(server), extra_query={"intent": "transcription"}) as connection:
        if is_configured:
            await connection.session.update(session=TRANSCRIPTION)
        events = await while_speaking(connection, say(LINE), lambda: until(connection, COMPLETED))
    assert "parcel" in events[-1].transcript.lower()
    assert events[0].session.type == "transcription"
    assert not [event for event in events if event.type.startswith("response.")]


async def test_a_secret_for_transcription_opens_such_a_session_as_it_was_asked_for(
    server: LocalServer, say: Say
) -> None:
    async with client_of(server) as client:
        secret = await client.realtime.client_secrets.create(session=TRANSCRIPTION)
    async with connected(client_of(server, secret.value), extra_query={}) as connection:
        events = await while_speaking(connection, say(LINE), lambda: until(connection, COMPLETED))
    assert events[0].session.audio.input.transcription.model == "gpt-4o-transcribe"
    assert "parcel" in events[-1].transcript.lower()


@pytest.mark.parametrize("is_spoken", [False, True])
async def test_a_text_session_answers_in_writing_what_is_typed_or_spoken(
    server: LocalServer, say: Say, is_spoken: bool
) -> None:
    async with connected(client_of(server), model="gpt-realtime") as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        if is_spoken:
            events = await while_speaking(connection, say(LINE), lambda: until(connection, "response.done"))
        else:
            await connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": LINE}]}
            )
            await connection.response.create()
            events = await until(connection, "response.done")
    (written,) = [event.text for event in events if event.type == "response.output_text.done"]
    assert "tracking number" in written
    assert events[-1].response.status == "completed"
    assert not [event.type for event in events if event.type.startswith("response.output_audio")]
