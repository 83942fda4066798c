"""What the callers in Python share: their orders, their reports, and a microphone that plays lines of speech in real time."""

import asyncio
import json
import sys
import wave
from collections.abc import AsyncIterator
from typing import Any

FRAME_MS = 20
RATE_HZ = 24_000
FRAME_BYTES = 2 * RATE_HZ * FRAME_MS // 1000

order: dict[str, Any] = json.load(sys.stdin)


def report(what: str, **fields: object) -> None:
    """Tell the test something."""
    print(json.dumps({"what": what, **fields}), flush=True)


class Microphone:
    """Silence, and lines when they are spoken."""

    def __init__(self) -> None:
        self._waiting = b""

    def speak(self, name: str) -> None:
        """Say a line of the order."""
        with wave.open(order["lines"][name]) as file:
            self._waiting += file.readframes(file.getnframes())

    async def frames(self) -> AsyncIterator[bytes]:
        """A frame each 20 ms, for ever."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            frame, self._waiting = self._waiting[:FRAME_BYTES], self._waiting[FRAME_BYTES:]
            yield frame.ljust(FRAME_BYTES, b"\0")
            due_s += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due_s - loop.time()))
