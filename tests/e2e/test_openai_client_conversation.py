"""The official `openai` client, unmodified but for its base URL, holds a spoken and a typed conversation."""

import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeConversationItemUserMessageParam, RealtimeFunctionToolParam
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.audio.pcm import Int16Array, bytes_of, samples_of
from agentvoicebox.cli.local_server import LocalServer
from agentvoicebox.client.line import SpokenLine

pytestmark = pytest.mark.requirement("A16.1")

FRAME_SAMPLES = 480  # 20 ms at 24 kHz
TOOL: RealtimeFunctionToolParam = {
    "type": "function",
    "name": "get_delivery_status",
    "description": "Where a parcel is.",
    "parameters": {
        "type": "object",
        "properties": {"tracking_id": {"type": "string"}},
        "required": ["tracking_id"],
    },
}


def client_of(server: LocalServer) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=server.url, api_key="any key")


class Microphone:
    """Streams lines as a sound card would, with silence between them."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self._connection = connection
        self._waiting = np.zeros(0, np.int16)

    def speak(self, line: SpokenLine) -> None:
        self._waiting = np.concatenate([self._waiting, line.pcm])

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            frame, self._waiting = self._waiting[:FRAME_SAMPLES], self._waiting[FRAME_SAMPLES:]
            frame = np.concatenate([frame, np.zeros(FRAME_SAMPLES - len(frame), np.int16)])
            await self._connection.input_audio_buffer.append(audio=base64.b64encode(bytes_of(frame)).decode())
            due_s += 0.02
            await asyncio.sleep(max(0.0, due_s - loop.time()))


async def until_done(connection: AsyncRealtimeConnection) -> list[Any]:
    """Events up to the next `response.done`."""
    events: list[Any] = []
    async with asyncio.timeout(PATIENCE_S):
        async for event in connection:
            events.append(event)
            assert event.type != "error", event
            if event.type == "response.done":
                return events
    raise AssertionError("the connection ended")


def types_of(events: list[Any]) -> list[str]:
    return [event.type for event in events]


def one(events: list[Any], kind: str) -> Any:
    found = [event for event in events if event.type == kind]
    assert len(found) == 1, types_of(events)
    return found[0]


def spoken(events: list[Any]) -> Int16Array:
    return samples_of(b"".join(base64.b64decode(e.delta) for e in events if e.type == "response.output_audio.delta"))


async def hear_out(events: list[Any]) -> None:
    """Play an answer to its end, as a loudspeaker would."""
    await asyncio.sleep(len(spoken(events)) / 24_000)


async def test_a_spoken_conversation_is_answered_aloud(server: LocalServer, say: Callable[[str], SpokenLine]) -> None:
    async with client_of(server) as client, client.realtime.connect(model="delivery") as connection:
        await connection.session.update(
            session={"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}}
        )
        microphone = Microphone(connection)
        talking = asyncio.create_task(microphone.run())
        try:
            microphone.speak(say("Hi, can you tell me where my parcel is?"))
            first = await until_done(connection)
            microphone.speak(say("It's P, K, G, zero, zero, four."))
            second = await until_done(connection)
            await hear_out(second)  # a yes before the question was heard would answer nothing
            microphone.speak(say("Yes, that's right."))
            third = await until_done(connection)
        finally:
            talking.cancel()
            with suppress(asyncio.CancelledError):
                await talking

    for events in (first, second, third):
        order = types_of(events)
        expected = [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_item.done",
            "response.done",
        ]
        places = [order.index(kind) for kind in expected]
        assert places == sorted(places), order
        assert len(spoken(events)) > 24_000 and np.abs(spoken(events)).max() > 1000
        assert one(events, "response.done").response.status == "completed"
    heard = one(first, "conversation.item.input_audio_transcription.completed")
    assert "parcel" in heard.transcript.lower()
    assert "tracking number" in one(first, "response.output_audio_transcript.done").transcript
    # The demo's numbers resemble one another, so one that was only heard is read back before anything is told of it.
    assert "P K G, zero zero four" in one(second, "response.output_audio_transcript.done").transcript
    assert "out for delivery" in one(third, "response.output_audio_transcript.done").transcript


async def test_a_typed_conversation_calls_the_clients_own_function_and_reports_what_it_returned(
    server: LocalServer,
) -> None:
    async with client_of(server) as client, client.realtime.connect(model="delivery") as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": [TOOL], "tool_choice": "auto"}
        )
        question: RealtimeConversationItemUserMessageParam = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Where is parcel PKG 777123?"}],
        }
        await connection.conversation.item.create(item=question)
        await connection.response.create()
        calls = [item for item in one(await until_done(connection), "response.done").response.output]
        assert [(call.type, call.name) for call in calls] == [("function_call", "get_delivery_status")]
        assert json.loads(calls[0].arguments)["tracking_id"] == "PKG777123"

        told = {"tracking_id": "PKG777123", "status": "in_transit", "carrier": "DHL", "eta": "2031-03-05"}
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": calls[0].call_id, "output": json.dumps(told)}
        )
        await connection.response.create()
        events = await until_done(connection)
    words = one(events, "response.output_text.done").text
    assert "on its way" in words and "March fifth" in words
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == words
