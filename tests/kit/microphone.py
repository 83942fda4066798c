"""A caller's microphone for stock clients: it streams silence in real time, and lines of speech when they are spoken."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import numpy as np

from agentvoicebox.audio.pcm import Int16Array, bytes_of
from agentvoicebox.client.line import SpokenLine

FRAME_MS = 20
FRAME_SAMPLES = 24 * FRAME_MS  # at 24 kHz


class Microphone:
    """Open inside of its block.

    Args:
        send: takes each frame: 20 ms of 16-bit samples at 24 kHz.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._send = send
        self._to_say = np.zeros(0, np.int16)
        self._streaming: asyncio.Task[None] | None = None

    def speak(self, line: SpokenLine) -> None:
        """Say a line, after what is still to be said."""
        self.sound(line.pcm)

    def sound(self, pcm: Int16Array) -> None:
        """Make a sound, 24 kHz, after what is still to be said."""
        self._to_say = np.concatenate([self._to_say, pcm])

    async def __aenter__(self) -> Self:
        self._streaming = asyncio.create_task(self._stream())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._streaming is not None
        self._streaming.cancel()
        with suppress(asyncio.CancelledError):
            await self._streaming

    async def _stream(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            frame, self._to_say = self._to_say[:FRAME_SAMPLES], self._to_say[FRAME_SAMPLES:]
            await self._send(bytes_of(np.pad(frame, (0, FRAME_SAMPLES - len(frame)))))
            due_s += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due_s - loop.time()))
