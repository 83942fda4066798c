"""What speech tests share: a broker with one worker on it, utterances as a gateway would feed them, and the real engines."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import cast

import msgspec
import numpy as np

from agentvoicebox.audio.pcm import Int16Array, bytes_of, samples_of
from agentvoicebox.audio.resample import resample
from agentvoicebox.cli.places import share_models
from agentvoicebox.engine.inputs import AudioSynthesised, WorkerInput
from agentvoicebox.engine.jobs import JobRequest, Synthesise, Transcribe
from agentvoicebox.ports.broker import (
    AppendAudio,
    AudioEntry,
    Broker,
    Cancel,
    Job,
    JobKind,
    JobResult,
    SessionRef,
    Submit,
)
from agentvoicebox.ports.providers import Tts
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.workers.runner import Runner, Task
from tests.kit.memory_broker import MemoryBroker
from tests.kit.waiting import PATIENCE_S

SESSION = SessionRef("acme", "sess_1")
CACHE = Path(__file__).parents[2] / "var" / "test-models"  # ignored by git; split and joined models stay between runs
FRAME_SAMPLES = 320


def share_test_models(data_dir: Path) -> None:
    """Let a server with this data folder use the models that tests have prepared, and keep what it prepares."""
    share_models(CACHE, data_dir)


@cache
def catalogue() -> ModelCatalogue:
    """The installed models."""
    return ModelCatalogue(cache_dir=CACHE)


def spoken_by(tts: Tts, text: str, *, speed: float = 1.0, voice: str = "") -> Int16Array:
    """Everything an engine says for a text, 24 kHz."""
    return np.concatenate([np.zeros(0, np.int16), *tts.synthesize(text, voice=voice, speed=speed)])


def as_caller(sound: Int16Array) -> Int16Array:
    """An engine's 24 kHz speech as a caller's 16 kHz audio, with half a second of silence around."""
    quiet = np.zeros(8000, np.int16)
    return np.concatenate((quiet, resample(sound, 24_000, 16_000), quiet))


def said(record: JobResult) -> WorkerInput:
    """What a record reports."""
    return cast(WorkerInput, msgspec.msgpack.decode(record.body, type=WorkerInput))


async def settled(holds: Callable[[], bool]) -> None:
    """Let the event loop turn until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if holds():
                return
            await asyncio.sleep(0)


def audio_of(records: list[JobResult]) -> Int16Array:
    """The sound of a segment's records, in the order they came; checks that each says its true length."""
    for record in records:
        report = said(record)
        assert not isinstance(report, AudioSynthesised) or report.sample_count == len(record.audio) // 2
    return samples_of(b"".join(record.audio for record in records))


class Bench:
    """A broker, and workers put on it one at a time, so that a test can let one die and the next take over."""

    def __init__(self, broker: Broker, kind: JobKind) -> None:
        self.broker = broker
        self.kind = kind
        self.records: list[JobResult] = []
        self._grown = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None

    async def submit(self, request: JobRequest, job_id: str = "job_1") -> None:
        """Hand out a job, and begin to collect records."""
        if self._reading is None:
            stream = await self.broker.results(SESSION)
            self._reading = asyncio.create_task(self._read(stream))
        job = Job(job_id, self.kind, SESSION, msgspec.msgpack.encode(request), submitted_s=0.0)
        await self.broker.dispatch([Submit(job)])

    async def speak(self, text: str, *, job_id: str = "job_1", speed: float = 1.0) -> None:
        """Hand out a segment."""
        await self.submit(Synthesise("resp_1", text, "", speed), job_id)

    async def listen(self, job_id: str = "job_1", *, start_sample: int = 0) -> None:
        """Hand out an utterance."""
        await self.submit(Transcribe("item_1", start_sample), job_id)

    async def append(self, at_sample: int, pcm: Int16Array, job_id: str = "job_1") -> None:
        """Feed caller audio in frames of 20 ms."""
        frames = range(0, pcm.size, FRAME_SAMPLES)
        entries = (AudioEntry("audio", at_sample + n, bytes_of(pcm[n : n + FRAME_SAMPLES])) for n in frames)
        await self.broker.dispatch([AppendAudio(SESSION, job_id, entry) for entry in entries])

    async def mark(self, mark: str, at_sample: int, job_id: str = "job_1", *, end_sample: int | None = None) -> None:
        """Feed a mark."""
        entry = AudioEntry(mark, at_sample, end_sample=end_sample)
        await self.broker.dispatch([AppendAudio(SESSION, job_id, entry)])

    async def cancel(self, job_id: str = "job_1") -> None:
        """Call a job off."""
        await self.broker.dispatch([Cancel(job_id, self.kind, SESSION)])

    async def until(self, holds: Callable[[list[JobResult]], bool]) -> list[JobResult]:
        """The records so far, once something holds of them."""
        async with asyncio.timeout(PATIENCE_S), self._grown:
            await self._grown.wait_for(lambda: holds(self.records))
        return list(self.records)

    async def until_last(self, job_id: str = "job_1") -> list[JobResult]:
        """All records of a job, once it is done."""
        records = await self.until(lambda all_of_them: any(r.is_last and r.job_id == job_id for r in all_of_them))
        return [record for record in records if record.job_id == job_id]

    async def close(self) -> None:
        """Stop collecting."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, stream: object) -> None:
        async for record in stream:  # type: ignore[attr-defined]
            async with self._grown:
                self.records.append(record)
                self._grown.notify_all()

    @contextlib.asynccontextmanager
    async def worker(self, work: Callable[[Task], Awaitable[None]], *, slots: int = 4) -> AsyncIterator[Runner]:
        """A runner that works while inside, and drains at the end."""
        stop = asyncio.Event()
        runner = Runner(self.broker, self.kind, "worker-1", slots=slots, work=work)
        running = asyncio.create_task(runner.run(stop))
        try:
            yield runner
        finally:
            stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await running


@contextlib.asynccontextmanager
async def bench(kind: JobKind) -> AsyncIterator[Bench]:
    """A bench over the broker in memory."""
    made = Bench(MemoryBroker(), kind)
    try:
        yield made
    finally:
        await made.close()
