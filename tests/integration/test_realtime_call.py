"""Whole calls over a real socket, gateway and Valkey; only the engines behind the workers are scripted."""

import asyncio
import base64
import gc
from contextlib import suppress

import pytest
from openai import AsyncOpenAI
from redis.asyncio import Redis
from tests.kit.client import calling, until
from tests.kit.gateway import CHUNK_SAMPLES, Gateway, Workers, calls_tool, gateway, says, silence, tone
from tests.kit.waiting import PATIENCE_S
from websockets.exceptions import ConnectionClosed

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.jobs import Generate, JobRequest, Transcribe
from agentvoicebox.gateway.call import call
from agentvoicebox.ports.broker import JobKind

SERVER_VAD = {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}}
SPOKEN_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


async def test_a_spoken_turn_is_answered_in_the_protocols_order(served: Gateway, workers: Workers) -> None:
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD)
        client.events.clear()
        await client.speak()
        done = await client.until("response.done")
        assert client.types() == SPOKEN_TURN
        assert done["response"]["status"] == "completed"
        audio = b"".join(base64.b64decode(e["delta"]) for e in client.of("response.output_audio.delta"))
        assert len(audio) == workers.chunks * CHUNK_SAMPLES * 2
        assert all(len(e["delta"]) <= 6_400 for e in client.of("response.output_audio.delta"))
        assert len({e["event_id"] for e in client.events}) == len(client.events)


async def test_a_typed_turn_is_answered_in_text(served: Gateway, workers: Workers) -> None:
    workers.writes = says("Hello there.")
    async with calling(served.url()) as client:
        await client.use(output_modalities=["text"])
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
        await client.send("conversation.item.create", item=item)
        await client.send("response.create")
        done = await client.until("response.done")
        assert done["response"]["output"][0]["content"][0]["text"] == "Hello there."
        (request,) = await workers.wait_for(JobKind.LLM)
        assert isinstance(request, Generate)
        assert request.messages[-1].text == "hi"


async def test_a_server_tool_runs_inside_the_turn(served: Gateway, workers: Workers) -> None:
    workers.writes = calls_tool("get_delivery_status", '{"tracking_id":"AB123456"}', then="It was delivered.")
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD)
        await client.speak()
        done = await client.until("response.done")
        assert [item["type"] for item in done["response"]["output"]] == ["message"]
        assert done["response"]["output"][0]["content"][0]["transcript"] == "It was delivered."
        assert len(await workers.wait_for(JobKind.TOOL)) == 1


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
async def test_a_telephone_call_hears_eight_bits_at_8_khz(served: Gateway, workers: Workers, kind: str) -> None:
    workers.chunks = 5
    async with calling(served.url()) as client:
        await client.use(output_modalities=["audio"], audio={"output": {"format": {"type": kind}}})
        await client.send("response.create")
        await client.until("response.done")
        audio = b"".join(base64.b64decode(e["delta"]) for e in client.of("response.output_audio.delta"))
        assert len(audio) == workers.chunks * CHUNK_SAMPLES // 3  # the last milliseconds come before `done`
        types = client.types()
        assert types.index("response.output_audio.delta") < types.index("response.output_audio.done")


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
async def test_a_device_speaks_and_hears_pcm_at_its_own_rate(served: Gateway, workers: Workers, rate_hz: int) -> None:
    workers.chunks = 5
    async with calling(served.url()) as client:
        format = {"type": "audio/pcm", "rate": rate_hz}
        session = await client.use(
            audio={"input": {"format": format, **SERVER_VAD["input"]}, "output": {"format": format}}
        )
        assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == format
        await client.append(tone(600, rate_hz) + silence(700, rate_hz))
        done = (await client.until("response.done"))["response"]
        assert done["audio"]["output"]["format"] == format
        (started,) = client.of("input_audio_buffer.speech_started")
        (stopped,) = client.of("input_audio_buffer.speech_stopped")
        assert started["audio_start_ms"] == 0 and 800 <= stopped["audio_end_ms"] <= 1_100
        audio = b"".join(base64.b64decode(e["delta"]) for e in client.of("response.output_audio.delta"))
        assert len(audio) == workers.chunks * CHUNK_SAMPLES * 2 * rate_hz // 24_000


async def test_a_rate_that_no_device_has_is_refused_and_the_session_goes_on(served: Gateway) -> None:
    async with calling(served.url()) as client:
        await client.send(
            "session.update", session={"audio": {"input": {"format": {"type": "audio/pcm", "rate": 44_100}}}}
        )
        error = (await client.until("error"))["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "session.audio.input.format.rate")
        assert "8000, 16000, 24000" in error["message"]
        assert (await client.use())["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}


async def test_a_commit_holds_exactly_what_was_appended_before_it(served: Gateway, workers: Workers) -> None:
    async with calling(served.url()) as client:
        await client.use(audio={"input": {"turn_detection": None}})
        for _ in range(3):
            await client.append(tone(250))
            await client.send("input_audio_buffer.commit")
        requests: list[JobRequest] = []
        async with asyncio.timeout(5):
            while len(requests) < 3:
                requests = await workers.wait_for(JobKind.STT, len(requests) + 1)
        starts = [request.start_sample for request in requests if isinstance(request, Transcribe)]
        assert starts[:3] == [0, 4_000, 8_000]
        assert len([e for e in client.events if e["type"] == "error"]) == 0


@pytest.mark.requirement("A16.1")
async def test_barge_in_stops_the_answer_and_nothing_of_it_follows(served: Gateway, workers: Workers) -> None:
    workers.chunks = 400
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD)
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.append(tone(900))
        done = await client.until("response.done")
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        types = client.types()
        assert types.index("input_audio_buffer.speech_started") < types.index("response.output_audio.done")
        client.events.clear()
        await client.nothing_but()


async def test_a_traced_call_is_told_where_each_millisecond_went(served: Gateway) -> None:
    async with calling(served.url("model=delivery&trace=1")) as client:
        await client.use(audio=SERVER_VAD)
        await client.speak()
        await client.until("response.done")
        first = client.of("agentvoicebox.turn")[0]["turn"]
        assert first["phase"] == "first_output"
        assert sum(first["parts_ms"].values()) == pytest.approx(first["total_ms"], abs=0.002)
        assert set(first["parts_ms"]) == {
            "endpointing",
            "socket",
            "ingest",
            "stt",
            "queue",
            "dialogue",
            "tool",
            "tts",
            "gateway",
        }
        last = (await client.until("agentvoicebox.turn"))["turn"]
        assert last["phase"] == "done"
        assert {job["part"] for job in last["jobs"]} >= {"dialogue", "tts"}


async def test_a_semantic_turn_ends_when_its_answer_has_a_sound(served: Gateway, workers: Workers) -> None:
    workers.hears = "where is my parcel?"
    async with calling(served.url("model=delivery&trace=1")) as client:
        await client.use(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}})
        await client.speak(silent_ms=3_000)
        trace = (await client.until("agentvoicebox.turn"))["turn"]
        assert trace["votes_ms"].keys() == {"words", "answer"}  # an end by the clock would have no votes
        assert trace["votes_ms"]["words"] < 1_000


async def test_an_untraced_call_never_sees_our_own_events(served: Gateway) -> None:
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD)
        await client.speak()
        await client.until("response.done")
        await client.nothing_but()
        assert client.of("agentvoicebox.turn") == []


async def test_a_caller_who_leaves_mid_word_leaves_no_task_and_no_key(
    served: Gateway, workers: Workers, redis_url: str
) -> None:
    before = {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("sess_")}
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD)
        await client.append(tone(500))
        await client.until("input_audio_buffer.speech_started")
        await workers.wait_for(JobKind.STT)
        client.ws.transport.abort()  # the line breaks: no close, no goodbye
    async with Redis.from_url(redis_url, decode_responses=True) as redis:

        async def nothing_left() -> bool:
            tasks = {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("sess_")}
            mine = [key async for key in redis.scan_iter() if "{" in key and not key.startswith("avb:job:record:")]
            return tasks == before and mine == [] and await redis.zcard(keys.LIVE_SESSIONS) == 0

        await until(nothing_left)
        # what is left of the cancelled utterance in the work queue is gone, too
        await until(lambda: _is_empty(redis, keys.job_stream(JobKind.STT)))
    assert len(served.state.sessions) == 0


async def _is_empty(redis: Redis, stream: str) -> bool:
    return bool(await redis.xlen(stream) == 0)


async def test_twenty_calls_in_a_row_leave_as_many_tasks_as_one(served: Gateway, workers: Workers) -> None:
    async def call() -> None:
        async with calling(served.url()) as client:
            await client.send("response.create")
            await client.until("response.done")
        await until(lambda: _nobody(served))

    await call()
    gc.collect()
    before = len(asyncio.all_tasks())
    for _ in range(20):
        await call()
    await until(lambda: _at_most(before))


async def _nobody(served: Gateway) -> bool:
    return len(served.state.sessions) == 0


async def _at_most(count: int) -> bool:
    return len(asyncio.all_tasks()) <= count


@pytest.mark.parametrize("bound", ["LIMIT_BYTES", "STALLED_S"])
async def test_a_caller_who_does_not_read_is_closed_and_others_are_not_held_up(
    served: Gateway, workers: Workers, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    other_bound = {"LIMIT_BYTES": ("STALLED_S", 600.0), "STALLED_S": ("LIMIT_BYTES", 10**9)}[bound]
    monkeypatch.setattr(f"agentvoicebox.gateway.call.socket.{other_bound[0]}", other_bound[1])
    monkeypatch.setattr(f"agentvoicebox.gateway.call.socket.{bound}", {"LIMIT_BYTES": 2**20, "STALLED_S": 0.5}[bound])
    monkeypatch.setattr("agentvoicebox.gateway.call.call.FLUSH_S", 0.2)
    async with calling(served.url(), compression=None) as slow:
        slow.ws.transport.pause_reading()
        # echoes of long instructions fill the line, then the buffer
        await slow.append(tone(20))
        with suppress(ConnectionClosed):
            for _ in range(400):
                await slow.send("session.update", session={"instructions": "x" * 50_000})
                if len(served.state.sessions) == 0:
                    break
        await until(lambda: _nobody(served))
        async with calling(served.url()) as other:
            await other.send("response.create")
            await other.until("response.done")
        slow.ws.transport.abort()


async def test_the_openai_client_holds_a_spoken_and_a_typed_turn(served: Gateway, workers: Workers) -> None:
    client = AsyncOpenAI(api_key="any", base_url=f"http://127.0.0.1:{served.port}/v1")
    async with client.realtime.connect(model="gpt-realtime") as connection, asyncio.timeout(PATIENCE_S):
        await connection.session.update(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        await connection.input_audio_buffer.append(audio=base64.b64encode(tone(500)).decode())
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        heard = b""
        async for event in connection:
            if event.type == "response.output_audio.delta":
                heard += base64.b64decode(event.delta)
            if event.type == "response.done":
                assert event.response.status == "completed"
                break
        assert len(heard) == workers.chunks * CHUNK_SAMPLES * 2
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and now?"}]}
        )
        await connection.response.create(response={"output_modalities": ["text"]})
        async for event in connection:
            if event.type == "response.done":
                assert event.response.output is not None
                assert event.response.output[0].type == "message"
                break
    await client.close()


async def test_an_event_is_heard_after_all_that_was_said_before_it(served: Gateway, workers: Workers) -> None:
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD)
        client.events.clear()
        await client.send("input_audio_buffer.append", audio=base64.b64encode(tone(700)).decode())
        await client.send("input_audio_buffer.commit")
        committed = await client.until("input_audio_buffer.committed")
        (started,) = client.of("input_audio_buffer.speech_started")
        assert started["item_id"] == committed["item_id"]


async def test_a_call_whose_client_never_sends_anything_ends_after_a_minute(
    redis_broker: RedisBroker, workers: Workers, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "IDLE_CHECK_S", 0.01)
    async with (
        gateway(redis_broker, call_clock=manual_clock) as served,
        calling(served.url()) as idle,
        calling(served.url()) as late,
        calling(served.url()) as listening,
    ):
        await listening.append(tone(20))
        manual_clock.advance(59)
        await late.nothing_but()
        manual_clock.advance(1)
        error = (await idle.until("error"))["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "session_idle")
        with pytest.raises(ConnectionClosed):
            await idle.next()
        assert (idle.ws.close_code, idle.ws.close_reason) == (1001, "invalid_request_error.session_idle")
        manual_clock.advance(600)
        for each in (late, listening):
            await each.nothing_but()
