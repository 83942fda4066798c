"""A call by WebRTC on a real server, whose gateway, workers and media server are killed with -9."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tests.kit.processes import pid_of
from tests.kit.speech import CACHE, share_test_models
from tests.kit.waiting import until
from tests.kit.web_caller import WebCaller, web_caller

from agentvoicebox.cli.local_server import LocalServer, free_port, local_server
from agentvoicebox.client.caller_voice import speak_lines

pytestmark = pytest.mark.requirement("C10")


@asynccontextmanager
async def on_the_line(folder: Path) -> AsyncIterator[tuple[WebCaller, LocalServer, int]]:
    port = free_port()
    share_test_models(folder)
    settings = {"AVB_WEBRTC": "true", "AVB_WEBRTC_PORT": str(port)}
    async with local_server(folder, settings=settings) as server, web_caller(port, credential="local") as caller:
        await caller.event("session.created")
        yield caller, server, port


def say(caller: WebCaller, text: str) -> None:
    caller.microphone.say(speak_lines([text], cache_dir=CACHE)[0].pcm)


@pytest.mark.requirement("A16.1", "C4")
async def test_a_caller_hears_the_rest_of_the_answer_after_the_death_of_the_gateway(tmp_path: Path) -> None:
    async with on_the_line(tmp_path) as (caller, server, _):
        say(caller, "Where is my parcel?")
        await caller.event("output_audio_buffer.started")
        os.kill(pid_of(server.pid, "gateway"), signal.SIGKILL)
        await caller.event("output_audio_buffer.stopped")
        done = await caller.event("response.done")
        assert done["response"]["status"] == "completed"
        heard_ms = caller.loud_ms()
        assert heard_ms > 500
        say(caller, "I don't have the number.")
        await caller.event("output_audio_buffer.stopped", 2)
        assert caller.loud_ms() > heard_ms + 500
        assert not caller.is_closed


async def test_a_caller_hears_the_answer_when_the_workers_die_in_the_middle_of_it(tmp_path: Path) -> None:
    async with on_the_line(tmp_path) as (caller, server, _):
        say(caller, "Where is my parcel?")
        await caller.event("output_audio_buffer.started")
        os.kill(pid_of(server.pid, "speech"), signal.SIGKILL)
        await caller.event("output_audio_buffer.stopped")
        heard_ms = caller.loud_ms()
        assert heard_ms > 500
        os.kill(pid_of(server.pid, "worker"), signal.SIGKILL)
        say(caller, "I don't have the number.")
        await caller.event("output_audio_buffer.stopped", 2)
        assert caller.loud_ms() > heard_ms + 500
        assert not caller.is_closed


async def test_after_the_death_of_the_media_server_the_caller_can_come_back(tmp_path: Path) -> None:
    async with on_the_line(tmp_path) as (caller, server, port):
        os.kill(pid_of(server.pid, "webrtc"), signal.SIGKILL)
        async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    found = await client.get(f"http://127.0.0.1:{port}/calls/rtc_0_test?tenant=")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        assert found.json()["error"]["code"] == "call_not_found"
        async with web_caller(port, "rtc_0_again", credential="local") as again:
            await again.event("session.created")
            say(again, "Where is my parcel?")
            await again.event("output_audio_buffer.stopped")
            assert again.loud_ms() > 500
        await until(lambda: not caller.is_closed, "the first caller's connection has not ended")
