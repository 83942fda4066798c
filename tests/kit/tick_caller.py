"""A caller whose clock is audio, as voice benchmarks have it: in each tick it sends 200 ms of µ-law and plays at most 200 ms.

What the agent says faster than that waits for later ticks. When the server hears speech, what waits is thrown away and the item
is truncated at what was played. It speaks either spelling of the protocol.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from agentvoicebox.audio.g711 import encode_ulaw
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.audio.resample import resample
from agentvoicebox.client.line import SpokenLine

TICK_MS = 200
BYTES_PER_MS = 8  # µ-law at 8 kHz
TICK_BYTES = TICK_MS * BYTES_PER_MS
SILENCE = b"\xff"
MOST_TICKS = 300  # a minute: what has not come by then does not come
BETA = {"OpenAI-Beta": "realtime=v1"}


@dataclass
class Tick:
    """What one tick brought: the events, and the sound that was played in it."""

    events: list[dict[str, Any]] = field(default_factory=list)
    played: bytes = b""


class TickCaller:
    """One call.

    Attributes:
        events: all that came, in GA's spelling of their types.
        truncated_ms: where each interrupted item was cut, by its id.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._waiting: list[tuple[str, bytes]] = []
        self._played_bytes: dict[str, int] = {}
        self.events: list[dict[str, Any]] = []
        self.truncated_ms: dict[str, int] = {}

    async def send(self, event_type: str, **fields: Any) -> None:
        """Send one event."""
        await self._socket.send(json.dumps({"type": event_type, **fields}))

    def of(self, event_type: str) -> list[dict[str, Any]]:
        """All events of a type so far."""
        return [event for event in self.events if event["type"] == event_type]

    def said(self) -> list[str]:
        """What the agent said, answer by answer."""
        return [event["transcript"] for event in self.of("response.output_audio_transcript.done")]

    async def say(self, line: SpokenLine) -> None:
        """Ticks with a line of speech."""
        sound = encode_ulaw(resample(line.pcm, OUTPUT_RATE_HZ, 8000))
        for start in range(0, len(sound), TICK_BYTES):
            await self.tick(sound[start : start + TICK_BYTES])

    async def until(self, holds: Callable[[], object], what: str) -> None:
        """Ticks of silence until something holds."""
        for _ in range(MOST_TICKS):
            if holds():
                return
            await self.tick()
        raise AssertionError(f"no {what} after {MOST_TICKS} ticks; the last event is {self.events[-1]['type']}")

    async def until_quiet(self) -> None:
        """Ticks of silence until everything that was said has been played."""
        await self.until(lambda: not self._waiting, "end of the answer")

    async def tick(self, sound: bytes = b"") -> Tick:
        """200 ms: the caller's sound goes out at once, the agent's is played as far as it fits."""
        tick = Tick()
        ends_s = asyncio.get_running_loop().time() + TICK_MS / 1000
        audio = base64.b64encode(sound.ljust(TICK_BYTES, SILENCE)).decode()
        await self.send("input_audio_buffer.append", audio=audio)
        try:
            async with asyncio.timeout_at(ends_s):
                while True:
                    tick.events.append(await self._receive())
        except TimeoutError:
            pass
        while self._waiting and len(tick.played) < TICK_BYTES:
            item, chunk = self._waiting.pop(0)
            fits = TICK_BYTES - len(tick.played)
            tick.played += chunk[:fits]
            self._played_bytes[item] = self._played_bytes.get(item, 0) + len(chunk[:fits])
            if chunk[fits:]:
                self._waiting.insert(0, (item, chunk[fits:]))
        return tick

    async def _receive(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(await self._socket.recv())
        event["type"] = event["type"].replace("response.audio", "response.output_audio")  # the beta's spelling
        self.events.append(event)
        assert event["type"] != "error", event
        if event["type"] == "response.output_audio.delta" and event["item_id"] not in self.truncated_ms:
            self._waiting.append((event["item_id"], base64.b64decode(event["delta"])))
        elif event["type"] == "input_audio_buffer.speech_started" and self._waiting:
            item = self._waiting[0][0]
            self._waiting.clear()
            self.truncated_ms[item] = self._played_bytes.get(item, 0) // BYTES_PER_MS
            await self.send(
                "conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=self.truncated_ms[item]
            )
        return event


@asynccontextmanager
async def ticking(url: str, session: dict[str, Any], *, headers: dict[str, str]) -> AsyncIterator[TickCaller]:
    """Connect, set the session up, and wait until it is.

    Args:
        url: of the socket, with its model.
        session: for `session.update`.
        headers: of the upgrade.
    """
    async with connect(url, additional_headers={"Authorization": "Bearer any key", **headers}, max_size=None) as socket:
        caller = TickCaller(socket)
        assert (await caller._receive())["type"] == "session.created"
        await caller.send("session.update", session=session)
        assert (await caller._receive())["type"] == "session.updated"
        yield caller
