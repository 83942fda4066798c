"""What calls by WebRTC cost, and how soon they are answered: `python -m benchmarks.webrtc_calls [--calls 10] [--seconds 30]`.

A complete server with scripted engines, which answer at once, and callers of two kinds in this process: real peer connections
(aiortc, Opus), and WebSockets with 16-bit samples. Each caller says a sentence every eight seconds in real time, and is answered.

- processor time: of the media server's process and of the gateway's, for each call, in percent of a core, with calls of one kind
  at once. The callers' own is beside it, since they share the machine.
- first audio: from the last sound of the sentence to the first of the answer, with one call. By WebSocket that is the arrival of
  the first `response.output_audio.delta`; by WebRTC the first loud frame after aiortc's own jitter buffer of 80 ms, which
  stands for a browser's, and the arrival of `output_audio_buffer.started`, which is sent with the first packet.
"""

import argparse
import asyncio
import base64
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from agentvoicebox.audio.pcm import Int16Array, bytes_of
from agentvoicebox.cli.local_server import LocalServer, free_port, local_server
from agentvoicebox.client.caller_voice import speak_lines

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.kit.instant_engines import cpu_s
from tests.kit.processes import family, pid_of
from tests.kit.speech import CACHE, share_test_models
from tests.kit.web_caller import web_caller

FRAME_S = 0.02
FRAME = 480
TURN_S = 8.0
LOUD = 1_000
SENTENCE = "Where is my parcel?"


class SocketCaller:
    """A caller by WebSocket: frames in real time.

    Attributes:
        spoke_s, heard_s: of each turn: when its last sound was sent, and when the first audio of the answer came.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._words = np.zeros(0, np.int16)
        self._is_waiting = False
        self.spoke_s: list[float] = []
        self.heard_s: list[float] = []

    def say(self, pcm: Int16Array) -> None:
        """Say it now."""
        self._words = pcm

    async def speak(self) -> None:
        """Stream."""
        due_s = time.monotonic()
        while True:
            frame, self._words = self._words[:FRAME], self._words[FRAME:]
            if len(frame) and not len(self._words):
                self.spoke_s.append(time.monotonic())
                self._is_waiting = True
            frame = np.concatenate([frame, np.zeros(FRAME - len(frame), np.int16)])
            audio = base64.b64encode(bytes_of(frame)).decode()
            await self._socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            due_s += FRAME_S
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def listen(self) -> None:
        """Read."""
        async for message in self._socket:
            if self._is_waiting and json.loads(message)["type"] == "response.output_audio.delta":
                self._is_waiting = False
                self.heard_s.append(time.monotonic())


@asynccontextmanager
async def socket_caller(url: str) -> AsyncIterator[SocketCaller]:
    """One call; it ends with the block."""
    address = url.replace("http://", "ws://") + "/realtime?model=gpt-realtime"
    async with connect(address, additional_headers={"Authorization": "Bearer local"}, proxy=None) as socket:
        caller = SocketCaller(socket)
        tasks = [asyncio.create_task(caller.speak()), asyncio.create_task(caller.listen())]
        try:
            yield caller
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def percent(before: dict[str, float], after: dict[str, float], seconds: float, calls: int) -> dict[str, float]:
    """Of a core, for each call."""
    return {f"{name}_percent": round(100 * (after[name] - before[name]) / seconds / calls, 2) for name in before}


async def cost(
    server: LocalServer, kind: str, port: int, calls: int, seconds: float, words: Int16Array
) -> dict[str, float]:
    """Processor time with calls of one kind."""

    def used() -> dict[str, float]:
        found = {name: cpu_s(pid_of(server.pid, name)) for name in ("webrtc", "gateway")}
        return {**found, "callers": time.process_time()}

    async with AsyncExitStack() as stack:
        idle, idle_s = used(), time.monotonic()
        callers: list[Any] = []
        for index in range(calls):
            if kind == "webrtc":
                caller = await stack.enter_async_context(web_caller(port, f"rtc_0_{index}", credential="local"))
                await caller.event("session.created")
                callers.append(caller.microphone)
            else:
                callers.append(await stack.enter_async_context(socket_caller(server.url)))
        await asyncio.sleep(2)
        setup = percent(idle, used(), 1, calls)
        before, began_s = used(), time.monotonic()
        while time.monotonic() - began_s < seconds:
            for each in callers:
                each.say(words)
                await asyncio.sleep(TURN_S / calls)
        figures = percent(before, used(), time.monotonic() - began_s, calls)
        figures["setup_cpu_ms"] = round(setup["webrtc_percent" if kind == "webrtc" else "gateway_percent"] * 10, 1)
        figures["setup_s"] = round(began_s - idle_s, 1)
        media = pid_of(server.pid, "webrtc")
        figures["media_rss_mb"] = next(each.rss_kb for each in family(server.pid) if each.pid == media) // 1024
        return figures


async def first_audio(server: LocalServer, port: int, turns: int, words: Int16Array) -> dict[str, float]:
    """Medians, in ms."""
    async with socket_caller(server.url) as socket:
        await asyncio.sleep(1)
        for _ in range(turns):
            socket.say(words)
            await asyncio.sleep(TURN_S)
        by_socket = [heard - spoke for spoke, heard in zip(socket.spoke_s, socket.heard_s, strict=False)]
    started: list[float] = []
    heard: list[float] = []
    async with web_caller(port, credential="local") as caller:
        await caller.event("session.created")
        for turn in range(turns):
            count = len(caller.heard)
            caller.microphone.say(words)
            await caller.until(lambda: not caller.microphone.is_speaking, "the sentence is said")
            spoke_s = time.monotonic()
            await caller.event("output_audio_buffer.started", turn + 1)
            started.append(time.monotonic() - spoke_s)
            loud = count
            while True:
                if loud >= len(caller.heard):
                    size = len(caller.heard)
                    await caller.until(lambda: len(caller.heard) > size, "more is heard")  # noqa: B023
                if np.abs(caller.heard[loud].astype(np.int32)).max() > LOUD:
                    break
                loud += 1
            heard.append(time.monotonic() - spoke_s)
            await asyncio.sleep(TURN_S)
    medians = {"websocket_first_delta": by_socket, "webrtc_first_packet": started, "webrtc_first_sound": heard}
    return {name: round(1000 * statistics.median(each)) for name, each in medians.items()}


async def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    words = speak_lines([SENTENCE], cache_dir=CACHE)[0].pcm
    loud = np.flatnonzero(np.abs(words.astype(np.int32)) > LOUD)
    words = words[: loud[-1] + 1]  # its end is its last sound
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        share_test_models(folder)
        settings = {
            "AVB_WEBRTC": "true",
            "AVB_WEBRTC_PORT": str(port),
            "AVB_STT_PROFILE": "scripted",
            "AVB_TTS_ORDER": "scripted",
            "AVB_MAX_CALLS": "100",
            "AVB_WEBRTC_MAX_CALLS": "100",
        }
        async with local_server(folder, settings=settings) as server:
            latency = await first_audio(server, port, options.turns, words)
            print(json.dumps({"first_audio_ms": latency}), flush=True)
            for kind in ("webrtc", "websocket"):
                found = await cost(server, kind, port, options.calls, options.seconds, words)
                print(json.dumps({"calls": options.calls, "by": kind, "figures": found}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
