"""Calls by WebRTC over a real gateway: answers, interruptions, events, bounds and faults."""

from collections.abc import AsyncIterator

import pytest
from tests.kit.gateway import CHUNK_SAMPLES, Gateway, Workers, says, silence, tone
from tests.kit.media_server import MediaServer, media_server
from tests.kit.waiting import until
from tests.kit.web_caller import WebCaller, web_caller

from agentvoicebox.audio.pcm import samples_of
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.ports.broker import JobKind

pytestmark = pytest.mark.requirement("C10")

ANSWER_MS = 2 * CHUNK_SAMPLES / 24


@pytest.fixture
async def place(served: Gateway) -> AsyncIterator[MediaServer]:
    async with media_server((f"http://127.0.0.1:{served.port}/v1",)) as made:
        yield made


def speak(caller: WebCaller, ms: int = 400, pause_ms: int = 900) -> None:
    caller.microphone.say(samples_of(tone(ms) + silence(pause_ms)))


async def test_a_caller_is_heard_and_answered_and_reads_the_events(place: MediaServer, workers: Workers) -> None:
    async with web_caller(place.port, model="delivery", credential="any") as caller:
        await caller.event("session.created")
        speak(caller)
        await caller.event("response.done")
        stopped = await caller.event("output_audio_buffer.stopped")
        await caller.until(lambda: caller.loud_ms() >= ANSWER_MS - 40, "the answer is heard")
        assert caller.loud_ms() == pytest.approx(ANSWER_MS, abs=60)
        kinds = [event["type"] for event in caller.events]
        assert kinds[0] == "session.created"
        assert "response.output_audio.delta" not in kinds
        assert kinds.index("output_audio_buffer.started") < kinds.index("output_audio_buffer.stopped")
        assert stopped["response_id"] == caller.of("response.done")[0]["response"]["id"]
        assert place.count("avb_webrtc_calls") == 1
    await until(lambda: int(place.count("avb_webrtc_calls")), "the call has not ended")
    assert place.count("avb_webrtc_calls_ended_total", outcome="caller_left") == 1


async def test_who_interrupts_gets_silence_and_the_agent_knows_what_was_heard(
    place: MediaServer, workers: Workers
) -> None:
    workers.chunks = 40  # four seconds
    workers.writes = says("one two three four five six seven eight nine ten")
    async with web_caller(place.port, model="delivery", credential="any") as caller:
        await caller.event("session.created")
        caller.send("response.create")
        await caller.until(lambda: caller.loud_ms() >= 1_500, "the answer has begun")
        speak(caller, 600)
        cleared = await caller.event("output_audio_buffer.cleared")
        truncated = await caller.event("conversation.item.truncated")
        heard_ms = truncated["audio_end_ms"]
        await caller.until(lambda: caller.loud_ms() >= heard_ms - 60, "what was sent is heard")
        assert cleared["response_id"] == caller.of("output_audio_buffer.started")[0]["response_id"]
        jobs = await workers.wait_for(JobKind.LLM, 2)
        assert isinstance(jobs[-1], Generate)
        (said,) = [message.text for message in jobs[-1].messages if message.role == "assistant"]
        assert 3 <= len(said.split()) <= 7, said
        assert caller.loud_ms() == pytest.approx(heard_ms, abs=60), "the caller heard more than the agent knows"
        assert not caller.of("output_audio_buffer.stopped")


async def test_a_session_that_does_not_let_itself_be_interrupted_is_not(place: MediaServer, workers: Workers) -> None:
    workers.chunks = 20
    detection = {"type": "server_vad", "interrupt_response": False}
    session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    async with web_caller(place.port, model="delivery", credential="any", session=session) as caller:
        created = await caller.event("session.created")
        assert created["session"]["audio"]["input"]["turn_detection"]["interrupt_response"] is False
        caller.send("response.create")
        await caller.until(lambda: caller.loud_ms() >= 400, "the answer has begun")
        speak(caller, 300)
        await caller.event("input_audio_buffer.speech_started")
        await caller.event("output_audio_buffer.stopped")
        assert caller.loud_ms() == pytest.approx(2_000, abs=100)
        assert not caller.of("output_audio_buffer.cleared")


async def test_a_client_may_silence_the_agent_itself(place: MediaServer, workers: Workers) -> None:
    workers.chunks = 40
    async with web_caller(place.port, model="delivery", credential="any") as caller:
        await caller.event("session.created")
        caller.send("response.create")
        await caller.until(lambda: caller.loud_ms() >= 1_000, "the answer has begun")
        caller.send("response.cancel")
        caller.send("output_audio_buffer.clear")
        await caller.event("output_audio_buffer.cleared")
        truncated = await caller.event("conversation.item.truncated")
        before = truncated["audio_end_ms"]
        await caller.until(lambda: caller.loud_ms() >= before - 60, "what was sent is heard")
        assert caller.loud_ms() == pytest.approx(before, abs=60)
        caller.send("response.create")
        await caller.event("output_audio_buffer.started", 2)
        await caller.until(lambda: caller.loud_ms() > before + 300, "the next answer is heard")


async def test_on_a_bad_line_the_session_hears_as_much_as_was_said(place: MediaServer, workers: Workers) -> None:
    async with web_caller(place.port, model="delivery", credential="any") as caller:
        await caller.event("session.created")
        call = place.calls.find("rtc_0_test", "")
        assert call is not None
        caller.spoil(loss=0.05, jitter_s=0.06)
        speak(caller, 2_000)
        await caller.event("response.done")
        (job_id, *_) = workers.heard
        said_ms = sum(len(entry.pcm) for entry in workers.heard[job_id]) / 32
        assert said_ms >= 1_950
        assert call.voice.packets.lost > 0
        assert call.voice.recovered > 0
    await until(lambda: int(place.count("avb_webrtc_calls")), "the call has not ended")
    assert place.count("avb_webrtc_lost_packets_total") == call.voice.packets.lost
    assert place.count("avb_webrtc_replaced_audio_seconds_total", by="redundancy") > 0
