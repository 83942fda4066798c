"""A carrier's end of a telephone line: sends a call's audio, and plays what it is sent when the test says so.

It can be as bad as a real one: marks that come late or never, keys, messages that can't be read, a line that drops.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from agentvoicebox.audio.g711 import encode_ulaw
from agentvoicebox.audio.pcm import Int16Array, samples_of
from agentvoicebox.telephony.signatures import SIGNATURE_HEADER, twilio_signature
from tests.kit.gateway import silence
from tests.kit.waiting import PATIENCE_S

FRAME_BYTES = 160
CALL_ID = "CA0123456789abcdef"


class TelephoneLine:
    """One call, of one provider.

    Attributes:
        queue: what was sent and not played yet: audio, or the name of a mark.
        heard: what was played, G.711.
        cleared: bytes that were thrown away, for each clear.
        hung_up: whether the server asked for the end.
    """

    def __init__(self, socket: ClientConnection, provider: str) -> None:
        self._socket = socket
        self._provider = provider
        self.queue: list[bytes | str] = []
        self.heard = b""
        self.cleared: list[int] = []
        self.hung_up = False
        self.closed: tuple[int, str] | None = None
        self.plays_at_once = False
        self._changed = asyncio.Condition()

    async def start(self, **parameters: str) -> None:
        """The call is connected."""
        match self._provider:
            case "twilio":
                await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
                media = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
                start = {
                    "streamSid": "MZ1", "accountSid": "AC1", "callSid": CALL_ID, "tracks": ["inbound"],
                    "mediaFormat": media, "customParameters": parameters,
                }  # fmt: skip
                await self.send({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": "MZ1"})
            case "telnyx":
                media = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
                start = {"call_control_id": CALL_ID, "media_format": media, "custom_parameters": parameters}
                await self.send({"event": "start", "sequence_number": "1", "start": start, "stream_id": "st-1"})
            case _:
                started = {
                    "event": "MEDIA_START", "connection_id": "avb", "channel": "WebSocket/avb/0x1",
                    "channel_id": CALL_ID, "format": "ulaw", "optimal_frame_size": 160, "ptime": 20,
                    "channel_variables": parameters,
                }  # fmt: skip
                await self.send(started)

    async def send(self, message: dict[str, Any]) -> None:
        """Send a text message."""
        await self._socket.send(json.dumps(message))

    async def send_raw(self, message: str | bytes) -> None:
        """Send what no carrier should."""
        await self._socket.send(message)

    async def say(self, ulaw: bytes) -> None:
        """The caller's audio, in frames of 20 ms, as fast as it goes."""
        for start in range(0, len(ulaw), FRAME_BYTES):
            frame = ulaw[start : start + FRAME_BYTES]
            if self._provider == "asterisk":
                await self._socket.send(frame)
            else:
                media = {"track": "inbound", "payload": base64.b64encode(frame).decode()}
                await self.send({"event": "media", "media": media})

    async def speak(self, ms: int = 400, pause_ms: int = 900) -> None:
        """Something loud, then silence."""
        await self.say(encode_ulaw(voice(ms)) + ulaw_of(silence(pause_ms, 8_000)))

    async def press(self, keys: str) -> None:
        """Press keys."""
        for key in keys:
            if self._provider == "asterisk":
                await self.send({"event": "DTMF_END", "digit": key, "duration_ms": 100})
            else:
                await self.send({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": key}})

    async def hang_up(self) -> None:
        """The caller hangs up."""
        if self._provider != "asterisk":
            await self.send({"event": "stop", "stop": {"callSid": CALL_ID}})
        await self._socket.close()

    async def play(self, ms: float | None = None) -> None:
        """Play what is queued, or so much of it, and report the marks that were passed."""
        left = None if ms is None else int(ms * 8)
        while self.queue and (left is None or left > 0 or isinstance(self.queue[0], str)):
            first = self.queue.pop(0)
            if isinstance(first, str):
                await self._report(first)
                continue
            played = first if left is None else first[:left]
            self.heard += played
            if len(played) < len(first):
                self.queue.insert(0, first[len(played) :])
            left = None if left is None else left - len(played)

    async def until(self, holds: Callable[["TelephoneLine"], bool]) -> None:
        """Wait until something is true of the line. Once it has ended, nothing more becomes true."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: holds(self) or self.closed is not None)
        assert holds(self), f"the line has ended: {self.closed}"

    def queued_ms(self) -> float:
        """Audio that waits to be played."""
        return sum(len(each) for each in self.queue if isinstance(each, bytes)) / 8

    async def run(self) -> None:
        """Read what the server sends."""
        with suppress(ConnectionClosed):
            async for message in self._socket:
                await self._take(message)
                if self.plays_at_once:
                    await self.play()
                async with self._changed:
                    self._changed.notify_all()
        self.closed = (self._socket.close_code or 0, self._socket.close_reason or "")
        async with self._changed:
            self._changed.notify_all()

    async def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            assert len(message) <= 16_000, "Asterisk closes the connection at longer messages"
            self.queue.append(message[: len(message) - len(message) % FRAME_BYTES])  # it discards the rest
            return
        event = json.loads(message)
        match event.get("event") or event.get("command"):
            case "media":
                self.queue.append(base64.b64decode(event["media"]["payload"], validate=True))
            case "mark":
                self.queue.append(event["mark"]["name"])
            case "MARK_MEDIA":
                self.queue.append(event["correlation_id"])
            case "clear" | "FLUSH_MEDIA":
                thrown, self.queue = self.queue, []
                self.cleared.append(sum(len(each) for each in thrown if isinstance(each, bytes)))
                if self._provider != "asterisk":  # which never reports a mark that was thrown away
                    for each in thrown:
                        if isinstance(each, str):
                            await self._report(each)
            case "HANGUP":
                self.hung_up = True
                await self._socket.close()
            case other:
                raise AssertionError(f"the line was sent {other}")

    async def _report(self, mark: str) -> None:
        if self._provider == "asterisk":
            await self.send({"event": "MEDIA_MARK_PROCESSED", "correlation_id": mark})
        else:
            await self.send({"event": "mark", "mark": {"name": mark}})


def voice(ms: int) -> Int16Array:
    """Something loud at 8 kHz, with the overtones of an open mouth: a hum over the agent's words would be ignored."""
    at = np.arange(ms * 8)
    return np.asarray(np.sin(at * 0.3) * 8_000 + np.sin(at * 0.9) * 6_000, np.int16)


def ulaw_of(pcm: bytes) -> bytes:
    """int16 PCM at 8 kHz as G.711."""
    return encode_ulaw(samples_of(pcm))


@asynccontextmanager
async def telephone_line(
    port: int, provider: str, *, headers: dict[str, str] | None = None, query: str = ""
) -> AsyncIterator[TelephoneLine]:
    """Open a line; it ends with the block."""
    url = f"ws://127.0.0.1:{port}/{provider}/media{query}"
    async with connect(url, additional_headers=headers, proxy=None) as socket:
        line = TelephoneLine(socket, provider)
        running = asyncio.create_task(line.run(), name="telephone line")
        try:
            yield line
        finally:
            await socket.close()
            await running


def signed(token: str, url: str, form: dict[str, str] | None = None) -> dict[str, str]:
    """The header of a request that Twilio makes."""
    return {SIGNATURE_HEADER: twilio_signature(token, url, (form or {}).items())}
