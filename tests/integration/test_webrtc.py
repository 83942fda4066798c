"""Calls by WebRTC over a real gateway: answers, interruptions, events, bounds and faults."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry
from tests.kit.gateway import CHUNK_SAMPLES, Gateway, Workers, says, silence, tone
from tests.kit.waiting import until
from tests.kit.web_caller import WebCaller, web_caller

from agentvoicebox.audio.pcm import samples_of
from agentvoicebox.clock import SystemClock
from agentvoicebox.http_server.serving import serving
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.webrtc.app import WebCallServer
from agentvoicebox.webrtc.call_request import WebPlan
from agentvoicebox.webrtc.calls import WebCalls
from agentvoicebox.webrtc.metrics import WebCallMetrics

pytestmark = pytest.mark.requirement("C10")

ANSWER_MS = 2 * CHUNK_SAMPLES / 24


class Place:
    """A media server.

    Attributes:
        port: its own.
        calls: in it.
    """

    def __init__(self, port: int, calls: WebCalls, registry: CollectorRegistry) -> None:
        self.port = port
        self.calls = calls
        self._registry = registry

    def count(self, name: str, **labels: str) -> float:
        return self._registry.get_sample_value(name, labels) or 0.0

    async def request(self, method: str, path: str, **options: object) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as client:
            return await client.request(method, path, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def opened(gateways: tuple[str, ...], *, most: int = 24, token: str = "") -> AsyncIterator[Place]:
    registry = CollectorRegistry()
    calls = WebCalls(WebPlan(gateways), most, WebCallMetrics(registry), SystemClock())
    app = WebCallServer(calls, token).app()
    async with serving(
        app, host="127.0.0.1", port=0, drain_s=2, setting="AVB_WEBRTC_PORT", has_websockets=True
    ) as port:
        yield Place(port, calls, registry)
        await calls.drain(5)


@pytest.fixture
async def place(served: Gateway) -> AsyncIterator[Place]:
    async with opened((f"http://127.0.0.1:{served.port}/v1",)) as made:
        yield made


def speak(caller: WebCaller, ms: int = 400, pause_ms: int = 900) -> None:
    caller.microphone.say(samples_of(tone(ms) + silence(pause_ms)))


async def test_a_caller_is_heard_and_answered_and_reads_the_events(place: Place, workers: Workers) -> None:
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


async def test_who_interrupts_gets_silence_and_the_agent_knows_what_was_heard(place: Place, workers: Workers) -> None:
    workers.chunks = 40  # four seconds
    workers.writes = says("one two three four five six seven eight nine ten")
    async with web_caller(place.port, model="delivery", credential="any") as caller:
        await caller.event("session.created")
        caller.send("response.create")
        await caller.until(lambda: caller.loud_ms() >= 1_500, "the answer has begun")
        speak(caller, 600)
        cleared = await caller.event("output_audio_buffer.cleared")
        truncated = await caller.event("conversation.item.truncated")
        heard_ms = caller.loud_ms()
        assert cleared["response_id"] == caller.of("output_audio_buffer.started")[0]["response_id"]
        assert truncated["audio_end_ms"] == pytest.approx(heard_ms, abs=250)
        await asyncio.sleep(0)
        jobs = await workers.wait_for(JobKind.LLM, 2)
        assert jobs
        assert not caller.of("output_audio_buffer.stopped")
