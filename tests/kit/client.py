"""A caller's side of the Realtime socket for tests: sends events, speaks, and waits for what it expects."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.kit.event_schemas import EventChecks
from tests.kit.gateway import silence, tone
from tests.kit.waiting import PATIENCE_S

SERVER_VAD = {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}}
FRAME_BYTES = 960  # 20 ms of PCM


class Client:
    """One connection.

    Attributes:
        events: everything received so far.
    """

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.events: list[dict[str, Any]] = []
        self._checks = EventChecks()

    async def send(self, event_type: str, **fields: Any) -> None:
        """Send one event."""
        await self.ws.send(json.dumps({"type": event_type, **fields}))

    async def next(self) -> dict[str, Any]:
        """The next event; it must be as the AsyncAPI document says."""
        async with asyncio.timeout(PATIENCE_S):
            event: dict[str, Any] = json.loads(await self.ws.recv())
        self.events.append(event)
        self._checks.check(event)
        return event

    async def until(self, event_type: str) -> dict[str, Any]:
        """The next event of a type; what comes before it is kept in `events`."""
        while (event := await self.next())["type"] != event_type:
            pass
        return event

    async def nothing_but(self, *allowed: str) -> None:
        """Assert that nothing else is due: what is asked for now is answered next."""
        await self.send("session.update", session={})
        while (event := await self.next())["type"] != "session.updated":
            assert event["type"] in allowed, event

    async def use(self, **session: Any) -> dict[str, Any]:
        """Update the session; gives the session as it is now."""
        await self.send("session.update", session=session)
        updated: dict[str, Any] = (await self.until("session.updated"))["session"]
        return updated

    async def append(self, pcm: bytes, *, pause_s: float = 0.0) -> None:
        """Send audio in 20 ms frames."""
        for start in range(0, len(pcm), FRAME_BYTES):
            audio = base64.b64encode(pcm[start : start + FRAME_BYTES]).decode()
            await self.send("input_audio_buffer.append", audio=audio)
            if pause_s:
                await asyncio.sleep(pause_s)

    async def speak(self, voiced_ms: int = 600, silent_ms: int = 700) -> None:
        """Something loud, then nothing: one turn, sent at once."""
        await self.append(tone(voiced_ms) + silence(silent_ms))

    def types(self) -> list[str]:
        """Types of all events so far, runs of the same one counted once."""
        types: list[str] = []
        for event in self.events:
            if not types or types[-1] != event["type"]:
                types.append(event["type"])
        return types

    def of(self, event_type: str) -> list[dict[str, Any]]:
        """All events of a type so far."""
        return [event for event in self.events if event["type"] == event_type]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a state that nobody announces."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def calling(url: str, **options: Any) -> AsyncIterator[Client]:
    """Connect, and wait for `session.created`."""
    async with connect(url, max_size=None, **options) as ws:
        client = Client(ws)
        await client.until("session.created")
        yield client
