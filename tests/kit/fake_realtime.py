"""A small Realtime server for tests of callers: pure protocol, energy for a detector, a tone for a voice, no models."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from agentvoicebox.audio import g711
from agentvoicebox.audio.pcm import Int16Array, bytes_of, samples_of

LOUD = 500  # a frame whose mean magnitude is above is speech
SILENCE_S = 0.2


@dataclass
class Plan:
    """What the server does.

    Attributes:
        replies: words of each reply in turn; the last repeats.
        reply_s: length of each reply's tone.
        refusal: an error to answer the connection with.
        closes_after_turn: hang up when so many replies have begun.
        thinks_s: before each reply.
        notices_s: after which it tells of speech that it hears.
        interrupts: whether speech interrupts its replies, as it says in its session.
    """

    replies: list[str] = field(default_factory=lambda: ["Hello."])
    reply_s: float = 0.3
    refusal: dict[str, Any] | None = None
    closes_after_turn: int | None = None
    thinks_s: float = 0.0
    notices_s: float = 0.0
    interrupts: bool = True


@dataclass
class Line:
    """One connection as the server saw it."""

    path: str
    authorization: str
    events: list[dict[str, Any]] = field(default_factory=list)
    pcm: list[Int16Array] = field(default_factory=list)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def heard(self) -> Int16Array:
        """All audio received."""
        return np.concatenate([np.zeros(0, np.int16), *self.pcm])


class FakeRealtime:
    """Answers each stretch of sound, or each `response.create`, with the next reply of the plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lines: list[Line] = []
        self.url = ""

    async def answer(self, socket: ServerConnection) -> None:
        """One connection."""
        assert socket.request is not None
        line = Line(socket.request.path, socket.request.headers.get("Authorization", ""))
        self.lines.append(line)
        try:
            await _Session(socket, line, self.plan).run()
        except ConnectionClosed:
            pass
        finally:
            line.is_over.set()


class _Session:
    def __init__(self, socket: ServerConnection, line: Line, plan: Plan) -> None:
        self._socket, self._line, self._plan = socket, line, plan
        self._format, self._rate_hz = "audio/pcm", 24_000
        self._speaking_since: int | None = None
        self._last_loud, self._last_loud_s, self._at = 0, 0.0, 0
        self._count = 0

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"type": kind, "event_id": "event_x", **fields}))

    async def run(self) -> None:
        if self._plan.refusal is not None:
            await self._send("error", error=self._plan.refusal)
            await self._socket.close(3000, "invalid_request_error")
            return
        await self._send("session.created", session={"type": "realtime", "id": "sess_1"})
        async for message in self._socket:
            event = json.loads(message)
            if event["type"] == "input_audio_buffer.append":
                await self._hear(base64.b64decode(event["audio"]))
                continue
            self._line.events.append(event)
            if event["type"] == "session.update":
                self._format = event["session"]["audio"]["input"]["format"]["type"]
                self._rate_hz = 24_000 if self._format == "audio/pcm" else 8_000
                audio = {
                    "input": {"turn_detection": {"type": "server_vad", "interrupt_response": self._plan.interrupts}}
                }
                await self._send("session.updated", session={"type": "realtime", "id": "sess_1", "audio": audio})
            elif event["type"] == "response.create":
                await self._reply()

    async def _hear(self, data: bytes) -> None:
        decode = {"audio/pcm": samples_of, "audio/pcmu": g711.decode_ulaw, "audio/pcma": g711.decode_alaw}
        pcm = decode[self._format](data)
        self._line.pcm.append(pcm)
        self._at += len(pcm)
        if np.abs(pcm.astype(np.int32)).mean() > LOUD:
            self._last_loud, self._last_loud_s = self._at, time.time()
            if self._speaking_since is None:
                self._speaking_since = self._at
                self._count += 1
                await asyncio.sleep(self._plan.notices_s)
                await self._send("input_audio_buffer.speech_started", audio_start_ms=0, item_id=f"item_u{self._count}")
        elif self._speaking_since is not None and self._at - self._last_loud > SILENCE_S * self._rate_hz:
            self._speaking_since = None
            item_id = f"item_u{self._count}"
            await self._send("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id=item_id)
            await self._send("input_audio_buffer.committed", previous_item_id=None, item_id=item_id)
            transcribed = "conversation.item.input_audio_transcription.completed"
            await self._send(transcribed, item_id=item_id, content_index=0, transcript=f"words {self._count}", usage={})
            await self._reply(self._last_loud_s)

    async def _reply(self, since_s: float | None = None) -> None:
        number = sum(event["type"] == "response.create" for event in self._line.events) + self._count
        words = self._plan.replies[min(number, len(self._plan.replies)) - 1]
        await asyncio.sleep(self._plan.thinks_s)
        response_id, item_id = f"resp_{number}", f"item_a{number}"
        await self._send("response.created", response={"id": response_id, "status": "in_progress", "output": []})
        if self._plan.closes_after_turn is not None and number >= self._plan.closes_after_turn:
            await self._socket.close(1011, "broken")
            return
        where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        await self._send("response.output_audio_transcript.delta", **where, delta=words)
        tone = (8000 * np.sin(np.arange(int(self._plan.reply_s * self._rate_hz)) * 0.1)).astype(np.int16)
        encode = {"audio/pcm": bytes_of, "audio/pcmu": g711.encode_ulaw, "audio/pcma": g711.encode_alaw}
        for start in range(0, len(tone), self._rate_hz // 10):
            piece = encode[self._format](tone[start : start + self._rate_hz // 10])
            await self._send("response.output_audio.delta", **where, delta=base64.b64encode(piece).decode())
        await self._send("response.output_audio_transcript.done", **where, transcript=words)
        if since_s is not None and "trace=1" in self._line.path:
            whole_ms = (time.time() - since_s) * 1000
            parts = {"endpointing": SILENCE_S * 1000, "tts": whole_ms - SILENCE_S * 1000}
            turn = {"phase": "first_output", "response_id": response_id, "t0_s": since_s, "total_ms": whole_ms}
            marks = {"endpoint_decided": SILENCE_S * 1000}
            bars = [{"part": "stt", "start_ms": 50.0, "end_ms": 150.0, "job_id": "j", "is_hidden": True}]
            await self._send("agentvoicebox.turn", turn={**turn, "parts_ms": parts, "marks_ms": marks, "bars": bars})
        message = {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": []}
        await self._send("response.done", response={"id": response_id, "status": "completed", "output": [message]})


@contextlib.asynccontextmanager
async def fake_realtime(plan: Plan | None = None) -> AsyncIterator[FakeRealtime]:
    """A server on a free port of loopback."""
    fake = FakeRealtime(plan or Plan())
    async with serve(fake.answer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        fake.url = f"http://127.0.0.1:{port}/v1"
        yield fake
