"""However a request to `/v1/audio` ends, its work stops, and nothing of it is left in the store."""

import asyncio
import json

import httpx
import pytest
from openai import APIError, AsyncOpenAI
from tests.kit.audio_requests import (
    LONG,
    SAY,
    SPEECH,
    ask,
    left_in,
    transcribe,
    web,
    worker_doing,
)
from tests.kit.gateway import CHUNK_SAMPLES, Workers, gateway
from tests.kit.store import looking_into
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import AudioSynthesised, SynthesisDone, Transcribed
from agentvoicebox.engine.jobs import Synthesise, Transcribe
from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox.gateway.audio_api.speech import segments_of
from agentvoicebox.gateway.call import open_jobs
from agentvoicebox.gateway.http import streamed_answer
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.workers.runner import Task

pytestmark = [pytest.mark.requirement("C9"), pytest.mark.usefixtures("no_request_is_left")]


async def test_a_client_that_leaves_cancels_its_jobs(
    redis_broker: RedisBroker, workers: Workers, redis_url: str
) -> None:
    workers.pace_s, workers.chunks = 0.05, 1_000
    async with gateway(redis_broker) as served:
        reader, writer = await ask(served, {**SAY, "input": LONG})
        await reader.readexactly(1_000)
        writer.transport.abort()
        await until(lambda: left_in(redis_url), "keys are left")
        count = len(workers.spoken)
        async with web(served) as http:
            workers.pace_s, workers.chunks = 0.0, 1
            assert (await http.post(SPEECH, json=SAY)).status_code == 200
    assert count == 2


async def test_a_client_that_leaves_before_the_first_byte_cancels_its_jobs(
    redis_broker: RedisBroker, workers: Workers, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(open_jobs.TIMEOUT_S, JobKind.TTS, 3_600.0)
    workers.pace_s = 3_600.0
    async with gateway(redis_broker) as served:
        _, writer = await ask(served, SAY)
        await workers.wait_for(JobKind.TTS)
        writer.transport.abort()
        await until(lambda: left_in(redis_url), "keys are left")


async def test_a_client_that_stops_reading_stops_the_synthesis_and_is_left(
    redis_broker: RedisBroker, workers: Workers, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed_answer, "STALLED_S", 0.5)
    workers.chunks = 60  # 6 s a segment, so that the whole text is far more than sockets hold
    async with gateway(redis_broker) as served:
        _, writer = await ask(served, {**SAY, "input": LONG})
        await workers.wait_for(JobKind.TTS, 2)
        await until(lambda: left_in(redis_url), "keys are left")
        await until(lambda: len(served.state.connections), "the connection is still open")
        writer.transport.abort()
    assert 2 <= len(workers.spoken) < len(segments_of(LONG)) - 10


async def test_while_a_request_lasts_all_its_keys_have_a_time_to_live(store_url: str, recording: bytes) -> None:
    """So a gateway that dies leaves nothing that lasts, on one server and in a cluster."""
    brokers = [RedisBroker(store_url), RedisBroker(store_url)]
    workers, stop = Workers(brokers[1]), asyncio.Event()
    workers.pace_s = 0.05
    working = asyncio.create_task(workers.run(stop))
    async with gateway(brokers[0]) as served, web(served) as http:
        asking = asyncio.create_task(http.post(SPEECH, json={**SAY, "input": LONG}))
        await workers.wait_for(JobKind.TTS, 4)
        with looking_into(store_url) as store:
            lives = {key: store.ttl(key) for key in map(str, store.scan_iter()) if "/audio_" in key}
        assert len(lives) > 3 and min(lives.values()) > 0, lives
        assert (await asking).status_code == 200
        assert (await transcribe(http, recording)).json()["text"] == f"{workers.hears} {workers.hears}"
        with looking_into(store_url) as store:
            left = [key for key in map(str, store.scan_iter()) if "/audio_" in key and "record:" not in key]
    stop.set()
    await working
    for broker in brokers:
        await broker.close()
    assert left == []


async def test_a_gateway_that_drains_finishes_what_it_serves(redis_broker: RedisBroker, workers: Workers) -> None:
    workers.pace_s = 0.1
    async with gateway(redis_broker) as served, web(served) as http:
        asking = asyncio.create_task(http.post(SPEECH, json={**SAY, "input": LONG}))
        await workers.wait_for(JobKind.TTS, 2)
        served.stop.set()
        answer = await asking
    assert len(answer.content) == len(segments_of(LONG)) * workers.chunks * CHUNK_SAMPLES * 2


async def test_a_job_that_fails_is_told_with_its_code(redis_broker: RedisBroker, redis_url: str) -> None:
    async def fail(task: Task) -> None:
        raise ValueError("no words of a caller here")

    async with worker_doing(redis_url, JobKind.TTS, fail), gateway(redis_broker) as served, web(served) as http:
        answer = await http.post(SPEECH, json=SAY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")


@pytest.mark.parametrize("format", ["pcm", "mp3"])
async def test_a_failure_in_the_middle_breaks_the_file_off(
    redis_broker: RedisBroker, redis_url: str, format: str
) -> None:
    async with (
        worker_doing(redis_url, JobKind.TTS, speak_once_then_fail),
        gateway(redis_broker) as served,
        web(served) as http,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(SPEECH, json={**SAY, "input": LONG, "response_format": format})


async def test_a_failure_in_the_middle_is_the_last_event(redis_broker: RedisBroker, redis_url: str) -> None:
    async with (
        worker_doing(redis_url, JobKind.TTS, speak_once_then_fail),
        gateway(redis_broker) as served,
        web(served) as http,
    ):
        answer = await http.post(SPEECH, json={**SAY, "input": LONG, "stream_format": "sse"})
    events = [json.loads(each.removeprefix("data: ")) for each in answer.text.split("\n\n") if each]
    assert [each["type"] for each in events] == ["speech.audio.delta", "error"]
    assert events[1]["error"]["code"] == "bad_provider_answer"


async def test_a_failure_in_the_middle_of_a_streamed_transcript_reaches_openais_client(
    redis_broker: RedisBroker, redis_url: str, recording: bytes
) -> None:
    async def hear_once(task: Task) -> None:
        async for entry in task.utterance():
            if entry.mark == "end":
                assert isinstance(task.request, Transcribe)
                if int(task.request.item_id.removeprefix("piece_")) > 16_000:  # the second sentence
                    raise BadProviderAnswer("it makes no sense")
                await task.publish(Transcribed(task.claim.job.job_id, "Words.", entry.at_sample, True), is_last=True)

    async with worker_doing(redis_url, JobKind.STT, hear_once), gateway(redis_broker) as served:
        base = f"http://127.0.0.1:{served.port}/v1"
        async with AsyncOpenAI(api_key="any", base_url=base, max_retries=0, timeout=PATIENCE_S) as client:
            stream = await client.audio.transcriptions.create(model="w", file=("a.wav", recording), stream=True)
            assert (await anext(aiter(stream))).type == "transcript.text.delta"
            with pytest.raises(APIError, match="makes no sense"):
                [event async for event in stream]


async def speak_once_then_fail(task: Task) -> None:
    if not isinstance(task.request, Synthesise) or "number 0" not in task.request.text:
        raise BadProviderAnswer("it makes no sense")
    await task.publish(AudioSynthesised(task.claim.job.job_id, 1, 48_000), audio=bytes(96_000))
    await task.publish(SynthesisDone(task.claim.job.job_id), is_last=True)
