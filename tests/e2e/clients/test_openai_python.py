"""The official `openai` package: a spoken call with words, a function, an interruption, and a line that breaks."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.websocket_reconnection import ReconnectingEvent, ReconnectingOverrides
from tests.e2e.clients.conftest import FlowerShop
from tests.kit import florist
from tests.kit.heard import Heard
from tests.kit.hum import hum
from tests.kit.microphone import Microphone
from tests.kit.tcp_line import TcpLine
from websockets.exceptions import ConnectionClosed

from agentvoicebox.client.line import SpokenLine

pytestmark = pytest.mark.requirement("A16.1", "C9")

MODEL = "gpt-realtime"  # what the package's documents use


class Call(Heard):
    """A caller: what was heard, and a microphone."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        super().__init__(connection)
        self.connection = connection
        self.microphone = Microphone(self._send)

    def sound_ms(self, item_id: str) -> float:
        """How much of an item's sound has come."""
        deltas = [event.delta for event in self.of("response.output_audio.delta") if event.item_id == item_id]
        return sum(len(base64.b64decode(delta)) for delta in deltas) / 48

    async def _send(self, frame: bytes) -> None:
        with suppress(ConnectionClosed):  # a broken line: whoever waits for events sees it
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(frame).decode())


@asynccontextmanager
async def calling(client: AsyncOpenAI, **options: Any) -> AsyncIterator[Call]:
    async with client, client.realtime.connect(model=MODEL, **options) as connection, Call(connection) as call:
        await call.until("session.created")
        await connection.session.update(
            session={"type": "realtime", "instructions": florist.INSTRUCTIONS, "tools": [florist.PRICE_TOOL]}  # type: ignore[list-item]
        )
        await call.until("session.updated")
        async with call.microphone:
            yield call


def client_at(url: str, **options: Any) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=url, api_key="any key", **options)


Say = Callable[[str], SpokenLine]


async def test_the_default_model_obeys_the_clients_instructions_and_answers_aloud(shop: FlowerShop, say: Say) -> None:
    async with calling(client_at(shop.server.url)) as call:
        call.microphone.speak(say(florist.NAME_LINE))
        done = await call.until("response.done")
        said = await call.until("response.output_audio_transcript.done")
    assert done.response.status == "completed"
    assert said.transcript == florist.NAME_REPLY
    assert call.sound_ms(said.item_id) > 1500
    assert florist.INSTRUCTIONS in shop.model.prompts[0][0]["content"]


async def test_the_clients_function_is_called_and_what_it_returned_is_said(shop: FlowerShop, say: Say) -> None:
    async with calling(client_at(shop.server.url)) as call:
        call.microphone.speak(say(florist.PRICE_LINE))
        asked = await call.until("response.function_call_arguments.done")
        await call.until("response.done")
        await call.connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": asked.call_id, "output": florist.PRICE}
        )
        await call.connection.response.create()
        said = await call.until("response.output_audio_transcript.done")
    assert (asked.name, asked.arguments) == ("get_price", '{"flower": "red rose"}')
    assert said.transcript == florist.PRICE_REPLY


async def test_an_interrupted_answer_is_cut_where_the_client_says_it_was_heard(shop: FlowerShop, say: Say) -> None:
    async with calling(client_at(shop.server.url)) as call:
        call.microphone.speak(say(florist.ENDLESS_LINE))
        first = await call.until("response.output_audio.delta")
        await asyncio.sleep(3.0)  # the loudspeaker plays, the caller listens
        call.microphone.speak(say(florist.STOP_LINE))
        await call.until("input_audio_buffer.speech_started", 2)
        played_ms = 3000
        assert call.sound_ms(first.item_id) > played_ms
        await call.connection.conversation.item.truncate(item_id=first.item_id, content_index=0, audio_end_ms=played_ms)
        truncated = await call.until("conversation.item.truncated")
        story = await call.until("response.done")
        await call.until("response.done", 2)
        [reply] = [e.transcript for e in call.of("response.output_audio_transcript.done") if e.item_id != first.item_id]
    assert (truncated.item_id, truncated.audio_end_ms) == (first.item_id, played_ms)
    assert (story.response.status, story.response.status_details.reason) == ("cancelled", "turn_detected")
    assert reply == florist.NAME_REPLY
    florist.check_cut_story(shop.model.prompts[-1], played_ms=played_ms)


@pytest.mark.requirement("C8")
async def test_a_hum_leaves_the_answer_alone(shop: FlowerShop, say: Say) -> None:
    async with calling(client_at(shop.server.url)) as call:
        call.microphone.speak(say(florist.NAME_LINE))
        first = await call.until("response.output_audio.delta")
        await asyncio.sleep(0.8)  # the loudspeaker plays
        call.microphone.sound(hum())
        await call.until("response.done")
        await asyncio.sleep(3.0)  # a turn would have ended by now
        done = call.of("response.done")
        (said,) = [event.transcript for event in call.of("response.output_audio_transcript.done")]
        started = call.of("input_audio_buffer.speech_started")
    assert [each.response.status for each in done] == ["completed"] and said == florist.NAME_REPLY
    assert call.sound_ms(first.item_id) > 1500
    assert len(started) == len(shop.model.prompts) == 1, "neither the client nor the model is told of the hum"


async def test_over_tls_the_same_call_works(shop: FlowerShop, say: Say) -> None:
    trust = shop.certificate.client
    client = client_at(shop.tls_url, http_client=httpx.AsyncClient(verify=trust))
    async with calling(client, websocket_connection_options={"ssl": trust}) as call:
        call.microphone.speak(say(florist.NAME_LINE))
        said = await call.until("response.output_audio_transcript.done")
    assert said.transcript == florist.NAME_REPLY


async def test_a_broken_line_is_resumed_by_the_clients_own_reconnection(shop: FlowerShop, say: Say) -> None:
    async with TcpLine(shop.port) as line:
        call: Call

        def go_on(_: ReconnectingEvent) -> ReconnectingOverrides:
            last = call.events[-1].event_id
            session_id = call.of("session.created")[0].session.id
            return {"extra_query": {"resume": "1", "session_id": session_id, "last_event_id": last}}

        async with calling(
            client_at(f"http://127.0.0.1:{line.port}/v1"), extra_query={"resume": "1"}, on_reconnecting=go_on
        ) as call:
            call.microphone.speak(say(florist.STORY_LINE))
            first = await call.until("response.output_audio.delta")
            line.cut()
            await call.until("agentvoicebox.resumed")
            done = await call.until("response.done")
            story = await call.until("response.output_audio_transcript.done")
    assert line.opened == 2
    assert (done.response.status, story.item_id, story.transcript) == ("completed", first.item_id, florist.STORY)
    numbers = [event.event_id for event in call.events if not event.type.startswith("agentvoicebox.")]
    assert len(numbers) == len(set(numbers)), "an event came twice"
    said = "".join(event.delta for event in call.of("response.output_audio_transcript.delta"))
    assert said == florist.STORY, "an event was lost"
