"""A listener's "mm-hmm" over the agent, over a real socket, gateway and Valkey; only the engines are scripted."""

import base64
from typing import Any

import pytest
from tests.kit.client import Client, calling, until
from tests.kit.gateway import CHUNK_SAMPLES, Gateway, Workers, gateway, says, silence, tone
from tests.kit.resuming_client import audio_of, reconnected, return_query

from agentvoicebox.broker.redis_streams import RedisBroker

ANSWER_CHUNKS = 60  # 6 s
AUDIO = "response.output_audio.delta"


async def answered(client: Client, workers: Workers, detection: dict[str, Any]) -> None:
    """The agent speaks, and its audio is still being made."""
    workers.chunks, workers.pace_s = ANSWER_CHUNKS, 0.02
    await client.use(audio={"input": {"turn_detection": detection}})
    await client.send("response.create")
    await client.until(AUDIO)


async def says_over_it(client: Client, workers: Workers, text: str, *, voice: bytes | None = None) -> None:
    """The caller's voice, until the recogniser was asked for its words; then the silence after it."""
    workers.hears = text
    await client.append((tone(320) if voice is None else voice) + silence(200))

    async def is_asked() -> bool:
        return any(entry.mark == "probe" for entries in workers.heard.values() for entry in entries)

    await until(is_asked)
    await client.append(silence(380), pause_s=0.02)


DETECTIONS: list[dict[str, Any]] = [{"type": "server_vad", "silence_duration_ms": 300}, {"type": "semantic_vad"}]


@pytest.mark.parametrize("detection", DETECTIONS, ids=["server_vad", "semantic_vad"])
async def test_mm_hmm_while_the_agent_speaks_is_neither_an_interruption_nor_a_turn(
    served: Gateway, workers: Workers, detection: dict[str, Any]
) -> None:
    async with calling(served.url()) as client:
        await answered(client, workers, detection)
        await says_over_it(client, workers, "Mm-hmm.")
        done = await client.until("response.done")
        assert done["response"]["status"] == "completed"
        assert not [each for each in client.types() if each.startswith("input_audio_buffer")]
        assert len([event for event in client.events if event["type"] == "conversation.item.added"]) == 1
        sent = b"".join(base64.b64decode(event["delta"]) for event in client.of(AUDIO))
        assert len(sent) == ANSWER_CHUNKS * CHUNK_SAMPLES * 2
        await client.nothing_but()


@pytest.mark.parametrize("detection", DETECTIONS, ids=["server_vad", "semantic_vad"])
async def test_stop_while_the_agent_speaks_interrupts_it_from_the_first_sound_of_the_voice(
    served: Gateway, workers: Workers, detection: dict[str, Any]
) -> None:
    async with calling(served.url()) as client:
        await answered(client, workers, detection)
        await says_over_it(client, workers, "Stop.")
        started = await client.until("input_audio_buffer.speech_started")
        assert started["audio_start_ms"] == 0  # 300 ms of padding before the voice, which began at once
        done = await client.until("response.done")
        assert (done["response"]["status"], done["response"]["status_details"]["reason"]) == (
            "cancelled",
            "turn_detected",
        )


async def test_while_a_voice_is_judged_no_audio_leaves(served: Gateway, workers: Workers) -> None:
    async with calling(served.url()) as client:
        await answered(client, workers, DETECTIONS[0])
        workers.hears = "Yeah."
        await client.append(tone(200))
        await client.nothing_but(
            AUDIO
        )  # what was on its way; the facts about the voice come before the client's next event
        for _ in range(3):
            await client.nothing_but()


@pytest.mark.parametrize("text", ["Mm-hmm.", "Stop."])
async def test_a_voice_that_was_being_judged_when_its_gateway_left_is_judged_at_the_next(
    served: Gateway, workers: Workers, redis_url: str, text: str
) -> None:
    workers.is_distinct = True
    voice = tone(320)
    async with calling(served.url("model=delivery&resume=1")) as client:
        await answered(client, workers, DETECTIONS[0])
        await client.append(voice[: len(voice) * 5 // 8])  # 200 ms
        await client.nothing_but(AUDIO)  # it is suspected now
        client.ws.transport.abort()
    broker = RedisBroker(redis_url)
    async with gateway(broker) as other, reconnected(other.url(return_query(client)), client) as client:
        resumed = await client.until("agentvoicebox.resumed")
        await says_over_it(client, workers, text, voice=voice[resumed["audio_start_ms"] * 48 :])
        done = await client.until("response.done")
        assert ("input_audio_buffer.speech_started" in client.types()) == (text == "Stop.")
        assert done["response"]["status"] == ("cancelled" if text == "Stop." else "completed")
        if text != "Stop.":
            assert audio_of(client) == b"".join(piece for pieces in workers.spoken.values() for piece in pieces)
    await broker.close()


async def test_yeah_over_a_question_that_ends_the_answer_is_a_turn(served: Gateway, workers: Workers) -> None:
    workers.writes, workers.chunks, workers.hears = says("Shall I text you?"), 30, "Yeah."
    async with calling(served.url()) as client:
        await client.use(audio={"input": {"turn_detection": DETECTIONS[0]}})
        await client.send("response.create")
        await client.until("response.done")  # all of it is sent, and is being played
        await client.append(tone(200))
        await client.until("input_audio_buffer.speech_started")


async def test_an_operator_may_have_any_voice_interrupt(workers: Workers, redis_url: str) -> None:
    broker = RedisBroker(redis_url)
    async with gateway(broker, judges_interruptions=False) as plain, calling(plain.url()) as client:
        await answered(client, workers, DETECTIONS[0])
        await client.append(tone(200))
        await client.until("input_audio_buffer.speech_started")
    await broker.close()
