"""A browser's end of a WebRTC call: a real peer connection, a microphone, a loudspeaker and the data channel.

Its line can be bad: packets of the microphone are lost or late, as a test says.
"""

import asyncio
import fractions
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import av
import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.webrtc.opus import FRAME_SAMPLES, OpusEncoder
from tests.kit.waiting import PATIENCE_S

FRAME_S = 0.02
RTCP = range(64, 96)  # of the second byte without its highest bit


class Microphone(MediaStreamTrack):
    """Sends what is said, and silence, in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._encoder = OpusEncoder()
        self._words = np.zeros(0, np.int16)
        self._due_s = 0.0
        self._ticks = 0

    def say(self, pcm: Int16Array) -> None:
        """Say 24 kHz audio after what is being said."""
        self._words = np.concatenate([self._words, pcm])

    @property
    def is_speaking(self) -> bool:
        return len(self._words) > 0

    async def recv(self) -> "av.Packet[Any]":
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        self._due_s = max(self._due_s + FRAME_S, loop.time() - 0.1)
        await asyncio.sleep(max(0.0, self._due_s - loop.time()))
        frame, self._words = self._words[:FRAME_SAMPLES], self._words[FRAME_SAMPLES:]
        frame = np.concatenate([frame, np.zeros(FRAME_SAMPLES - len(frame), np.int16)])
        packet = av.Packet(self._encoder.encode(frame))
        packet.pts, packet.time_base = self._ticks, fractions.Fraction(1, 48_000)
        self._ticks += 960
        return packet


class WebCaller:
    """One call.

    Attributes:
        microphone: what it says.
        events: of the data channel, in order.
        heard: the agent's audio, 48 kHz, one channel, as aiortc's own decoder hears it.
        answer: the server's SDP.
    """

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.events: list[dict[str, Any]] = []
        self.heard: list[Int16Array] = []
        self.answer = ""
        self.is_closed = False
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.connection.addTrack(self.microphone)
        self.channel = self.connection.createDataChannel("oai-events")
        self.channel.on("message", self._message)
        self.channel.on("close", self._closed)
        self.connection.on("track", self._track)
        self.connection.on("connectionstatechange", self._state)

    async def offer(self) -> str:
        """The SDP offer, complete."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp: str = self.connection.localDescription.sdp
        return sdp

    async def take_answer(self, sdp: str) -> None:
        """Connect."""
        self.answer = sdp
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        self.channel.send(json.dumps({"type": kind, **fields}))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Events of a kind so far."""
        return [event for event in self.events if event["type"] == kind]

    async def event(self, kind: str, count: int = 1) -> dict[str, Any]:
        """The `count`th event of a kind."""
        await self.until(lambda: len(self.of(kind)) >= count, kind)
        return self.of(kind)[count - 1]

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something is true."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._changed:
                await self._changed.wait_for(holds)
        except TimeoutError:
            raise AssertionError(f"{what}; there were {[event['type'] for event in self.events]}") from None

    def loud_ms(self, above: int = 1_000) -> float:
        """How much of the agent was heard that is not silence."""
        return sum(20.0 for frame in self.heard if np.abs(frame.astype(np.int32)).max() > above)

    def spoil(self, *, loss: float, jitter_s: float, seed: int = 1) -> None:
        """From now on packets of the microphone are lost with this probability, and late by up to `jitter_s`."""
        chance = random.Random(seed)
        transport = self.connection.getSenders()[0].transport
        send = transport._send_rtp

        async def later(data: bytes, wait_s: float) -> None:
            await asyncio.sleep(wait_s)
            with suppress(ConnectionError):
                await send(data)

        async def spoiled(data: bytes) -> None:
            if data[1] & 0x7F in RTCP:
                await send(data)
            elif chance.random() >= loss:
                task = asyncio.create_task(later(data, chance.random() * jitter_s))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        transport._send_rtp = spoiled  # type: ignore[method-assign]

    def vanish(self) -> None:
        """From now on nothing leaves this end, as when its machine sleeps."""
        for protocol in self.connection.getSenders()[0].transport.transport._connection._protocols:
            protocol.transport.sendto = lambda *_: None  # type: ignore[method-assign]

    async def close(self) -> None:
        """Hang up."""
        await self.connection.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _message(self, message: str) -> None:
        self.events.append(json.loads(message))
        self._notify()

    def _closed(self) -> None:
        self.is_closed = True
        self._notify()

    def _state(self) -> None:
        if self.connection.connectionState in ("closed", "failed"):
            self._closed()

    def _track(self, track: MediaStreamTrack) -> None:
        self._keep(asyncio.ensure_future(self._listen(track)))

    async def _listen(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                self.heard.append(frame.to_ndarray().reshape(-1)[::2].astype(np.int16))
                self._notify()

    def _notify(self) -> None:
        async def notify() -> None:
            async with self._changed:
                self._changed.notify_all()

        self._keep(asyncio.ensure_future(notify()))

    def _keep(self, task: "asyncio.Future[Any]") -> None:
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def web_caller(port: int, call_id: str = "rtc_0_test", **request: Any) -> AsyncIterator[WebCaller]:
    """Call at a media server's own port, as a gateway would; the call ends with the block."""
    caller = WebCaller()
    try:
        body = {"call_id": call_id, "sdp": await caller.offer(), **request}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            answer = await client.post("/calls", json=body, timeout=PATIENCE_S)
        assert answer.status_code == 201, answer.text
        await caller.take_answer(answer.json()["sdp"])
        yield caller
    finally:
        await caller.close()
