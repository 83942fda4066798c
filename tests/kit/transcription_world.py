"""The world of P4: callers at a real gateway commit utterances, recognisers that may die transcribe them, transcripts return.

Each utterance has a level of its own, and the scripted recogniser returns that level and the length; so a transcript in the
wrong call, or one of half an utterance, is detected.
"""

import asyncio
import base64
import contextlib
import itertools
import time
from collections.abc import AsyncIterator

import numpy as np

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.providers.stt.scripted import ScriptedStt
from agentvoicebox.workers.runner import Runner
from agentvoicebox.workers.stt import SttWork
from agentvoicebox.workers.urgent_threads import UrgentThreads
from tests.kit.client import Client, calling
from tests.kit.gateway import Gateway
from tests.kit.waiting import PATIENCE_S

LEVEL = 400  # between the levels of two utterances
MS_BYTES = 48  # of 24 kHz PCM
QUICK_IDLE_S = 0.12
NEVER = 1 << 30
COMPLETED = "conversation.item.input_audio_transcription.completed"

_numbers = itertools.count()


def utterance(number: int, length_ms: int) -> bytes:
    """An utterance that differs from all others: 24 kHz PCM."""
    return np.full(length_ms * MS_BYTES // 2, (number + 1) * LEVEL, "<i2").tobytes()


def is_understood(text: str, said: tuple[int, int]) -> bool:
    """Whether a text is the transcript of an utterance, without anything the caller said next."""
    return text == f"{said[0]} {said[1]}"


class Recogniser:
    """One worker as a process would be. It may die during a decode.

    Attributes:
        decoded_s: when each text was made (`time.perf_counter`).
    """

    def __init__(self, redis_url: str, *, dies_at: int = NEVER, idle_s: float = QUICK_IDLE_S, slots: int = 8) -> None:
        self.broker = RedisBroker(redis_url, reclaim_idle_s=idle_s, max_attempts=NEVER)
        self.decoded_s: dict[str, float] = {}
        self._dies_at = dies_at
        self._decodes = itertools.count(1)
        self._loop = asyncio.get_running_loop()
        self._threads = UrgentThreads(1, name="recogniser")
        work = SttWork(ScriptedStt(self._recognise), self._threads)
        name = f"recogniser-{next(_numbers)}"
        self._runner = Runner(self.broker, JobKind.STT, name, slots=slots, work=work, heartbeat_s=idle_s / 4)
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(self._runner.run(self._stop), name=name)

    @property
    def has_died(self) -> bool:
        return self._running.done()

    def _recognise(self, pcm: Int16Array) -> str:
        if next(self._decodes) >= self._dies_at:  # before its result is used
            self._loop.call_soon_threadsafe(self._running.cancel)
        text = f"{round(float(np.median(pcm)) / LEVEL) - 1} {round(pcm.size * 1000 / INPUT_RATE_HZ)}"
        self.decoded_s[text] = time.perf_counter()
        return text

    async def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait([self._running])
        self._threads.close()
        await self.broker.close()


class Caller:
    """A caller who speaks and commits, and records the transcripts.

    Attributes:
        said: the number and length of each utterance, in the order of the commits.
        heard: the words of each item, as often as they came, and when.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.said: list[tuple[int, int]] = []
        self.items: list[str] = []
        self.heard: list[tuple[str, str, float]] = []
        self.wrong: list[object] = []

    async def speak(self, pcm: bytes) -> None:
        await self.client.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())

    async def commit(self, said: tuple[int, int]) -> None:
        self.said.append(said)
        await self.client.send("input_audio_buffer.commit")

    async def listen(self, count: int, *, patience_s: float = PATIENCE_S) -> None:
        """Wait until there is a transcript for this many utterances, and then until no more is due."""
        try:
            async with asyncio.timeout(patience_s):
                while len(self.items) < count or {item for item, _, _ in self.heard} != set(self.items):
                    self._take(await self.client.next())
        except TimeoutError:
            raise AssertionError(f"heard {self.heard} of {self.said}") from None
        await self.client.send("session.update", session={})
        while (event := await self.client.next())["type"] != "session.updated":
            self._take(event)

    def _take(self, event: dict[str, object]) -> None:
        match event["type"]:
            case "input_audio_buffer.committed":
                self.items.append(str(event["item_id"]))
            case kind if kind == COMPLETED:
                self.heard.append((str(event["item_id"]), str(event["transcript"]), time.perf_counter()))
            case "error" | "conversation.item.input_audio_transcription.failed":
                self.wrong.append(event)

    def assert_understood(self) -> None:
        """Each utterance has exactly one transcript, its own."""
        assert not self.wrong, self.wrong
        texts = {item: text for item, text, _ in self.heard}
        assert len(self.heard) == len(texts) == len(self.said), f"{self.heard} came of {self.said}"
        for item, said in zip(self.items, self.said, strict=True):
            assert is_understood(texts[item], said), f"{texts[item]} was heard for {said}"


@contextlib.asynccontextmanager
async def caller(served: Gateway) -> AsyncIterator[Caller]:
    """A caller with manual turns."""
    async with calling(served.url()) as client:
        await client.use(audio={"input": {"turn_detection": None, "transcription": {"model": "scripted"}}})
        yield Caller(client)
