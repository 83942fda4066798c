"""A gateway that is told to stop: callers who can't come back have what was begun finished, and a clean end."""

import asyncio

import pytest
from tests.kit.client import SERVER_VAD, Client, calling
from tests.kit.gateway import Gateway, Workers, says, silence, tone
from tests.kit.resuming_client import audio_of
from tests.kit.waiting import PATIENCE_S
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.requirement("A4.2")

LONG = "One. Two. Three. Four."


@pytest.fixture
def slow(workers: Workers) -> Workers:
    """Workers whose answers take a second."""
    workers.writes, workers.chunks, workers.pace_s, workers.is_distinct = says(LONG), 20, 0.01, True
    return workers


async def to_the_end(client: Client) -> tuple[int | None, str | None]:
    """Everything that still comes; close code and reason."""
    with pytest.raises(ConnectionClosed):
        while True:
            await client.next()
    return client.ws.close_code, client.ws.close_reason


async def test_an_answer_that_was_begun_is_heard_to_its_end(served: Gateway, slow: Workers) -> None:
    async with calling(served.url()) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        served.stop.set()
        assert await to_the_end(client) == (1001, "shutdown")
        (done,) = client.of("response.done")
        assert done["response"]["status"] == "completed"
        assert audio_of(client) == b"".join(piece for job in slow.spoken.values() for piece in job)


async def test_who_is_speaking_is_heard_out_and_answered_first(served: Gateway, slow: Workers) -> None:
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD)
        await client.append(tone(600))
        await client.until("input_audio_buffer.speech_started")
        served.stop.set()
        await client.append(tone(200) + silence(700))
        assert await to_the_end(client) == (1001, "shutdown")
        (done,) = client.of("response.done")
        assert done["response"]["status"] == "completed"


async def test_an_answer_that_takes_too_long_ends_with_its_closing_events(
    served: Gateway, slow: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentvoicebox.gateway.role.DRAIN_TIMEOUT_S", 0.2)
    slow.pace_s = 0.3
    async with calling(served.url()) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        served.stop.set()
        assert await to_the_end(client) == (1001, "shutdown")
        assert client.of("response.done")[0]["response"]["status"] == "cancelled"


async def test_nobody_reaches_a_gateway_that_goes_down_while_its_calls_finish(served: Gateway, slow: Workers) -> None:
    async with calling(served.url()) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        served.stop.set()
        with pytest.raises(OSError):  # at once, so that a balancer goes elsewhere
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
                    writer.close()
        assert len(served.state.sessions) == 1
        await to_the_end(client)
        assert client.of("response.done")[0]["response"]["status"] == "completed"
