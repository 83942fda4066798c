"""The world of P3 and P5: segments synthesised by workers over a real store, and workers that die or lose their heartbeat.

The voice is scripted, so the audio of each segment is known exactly; a test decides at which of its
chunks a model's run lasts until it is interrupted.
"""

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import msgspec
import numpy as np

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import SynthesisDone
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.ports.broker import Cancel, Job, JobKind, JobResult, SessionRef, Submit
from agentvoicebox.ports.providers import Int16Array
from agentvoicebox.ports.voice import Voice
from agentvoicebox.providers.tts.scripted import ScriptedTts
from agentvoicebox.providers.tts.stopping import Stop, StoppableSpeech
from agentvoicebox.workers.runner import Runner
from agentvoicebox.workers.tts import TtsWork
from agentvoicebox.workers.urgent_threads import UrgentThreads
from tests.kit.speech import audio_of, said, spoken_by
from tests.kit.waiting import PATIENCE_S

QUICK_IDLE_S = (
    0.12  # silence after which a worker counts as dead; a falsely accused one is fenced, so it need not be right
)
QUICK_KEEP_S = 0.03
NEVER = 1 << 30

_numbers = itertools.count()


class WatchedTts:
    """The scripted voice, one model run per chunk.

    Args:
        chunk_ms: of its chunks.
        run_s: how long a run takes.
        longest_run_s: how long one that is to be interrupted goes on if it is not.

    Attributes:
        hangs_at: by text, the chunk whose run goes on until it is interrupted.
        hanging: by text, set when that run has begun.
        interrupted_s: by text, when its run was interrupted (`time.perf_counter`).
        runs: how many began.
    """

    def __init__(self, *, chunk_ms: int = 200, run_s: float = 0.0, longest_run_s: float = PATIENCE_S) -> None:
        self._longest_run_s = longest_run_s
        self._tts = ScriptedTts(chunk_ms=chunk_ms)
        self._run_s = run_s
        self.hangs_at: dict[str, int] = {}
        self.hanging: dict[str, threading.Event] = {}
        self.interrupted_s: dict[str, float] = {}
        self.runs = 0
        self.on_run: Callable[[int], object] = lambda runs: None

    def hang(self, text: str, at_chunk: int) -> None:
        """Block the run of one chunk of a text until it is interrupted."""
        self.hangs_at[text], self.hanging[text] = at_chunk, threading.Event()

    def voices(self) -> list[Voice]:
        return self._tts.voices()

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0) -> StoppableSpeech:
        return StoppableSpeech(lambda stop: self._chunks(text, voice, speed, stop))

    def _chunks(self, text: str, voice: str, speed: float, stop: Stop) -> Iterator[Int16Array]:
        for number, chunk in enumerate(self._tts.synthesize(text, voice=voice, speed=speed)):
            self.runs += 1
            self.on_run(self.runs)
            if number >= self.hangs_at.get(text, NEVER):
                interrupted = threading.Event()

                def interrupt(interrupted: threading.Event = interrupted) -> None:
                    self.interrupted_s[text] = time.perf_counter()
                    interrupted.set()

                with stop.interrupting(interrupt):
                    self.hanging[text].set()
                    interrupted.wait(self._longest_run_s)
            elif self._run_s:
                time.sleep(self._run_s)
            yield chunk


class Speaker:
    """One worker as a process would be: with a store connection of its own. It can die, or lose its heartbeat.

    Args:
        dies_at_run: as the engine begins this run, the worker is gone without a word.
        is_deaf: it works on but says nothing of being alive, so that its jobs are given to others.
    """

    def __init__(
        self,
        redis_url: str,
        tts: WatchedTts,
        *,
        threads: int = 2,
        idle_s: float = QUICK_IDLE_S,
        keep_every_s: float = QUICK_KEEP_S,
        dies_at_run: int = NEVER,
        is_deaf: bool = False,
    ) -> None:
        self.tts = tts
        self.broker = RedisBroker(redis_url, reclaim_idle_s=idle_s, max_attempts=NEVER)
        self._threads = UrgentThreads(threads, name="speaker")
        work = TtsWork(tts, self._threads)
        name = f"speaker-{next(_numbers)}"
        beat_s = PATIENCE_S if is_deaf else keep_every_s
        self._runner = Runner(
            self.broker, JobKind.TTS, name, slots=threads, work=work, drain_s=PATIENCE_S, heartbeat_s=beat_s
        )
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(self._runner.run(self._stop), name=name)
        self.died_s = 0.0
        loop = asyncio.get_running_loop()

        def count(runs: int) -> None:
            if runs >= dies_at_run:
                loop.call_soon_threadsafe(self.kill)

        tts.on_run = count

    @property
    def has_died(self) -> bool:
        return self._running.done()

    def kill(self) -> None:
        """Die: nothing is handed back, nothing more is published."""
        if not self._running.done():
            self.died_s = self.died_s or time.perf_counter()
            self._running.cancel()

    async def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait([self._running])
        self._threads.close()
        await self.broker.close()


class Spoken:
    """The results that a session's gateway received, in order, with times (`time.perf_counter`)."""

    def __init__(self) -> None:
        self.records: list[tuple[float, JobResult]] = []

    def of(self, job_id: str) -> list[JobResult]:
        return [record for _, record in self.records if record.job_id == job_id]


class SynthesisWorld:
    """The gateway's side of the world."""

    def __init__(self, broker: RedisBroker, patience_s: float) -> None:
        self.broker = broker
        self.patience_s = patience_s
        self.spoken: dict[SessionRef, Spoken] = {}
        self.jobs: dict[str, tuple[SessionRef, str]] = {}
        self._reading: list[asyncio.Task[None]] = []
        self._grown = asyncio.Condition()

    async def speak(self, job_id: str, session: SessionRef, text: str, *, cancelled: bool = False) -> None:
        """Submit a segment; with `cancelled`, cancel it at once."""
        if session not in self.spoken:
            self.spoken[session] = Spoken()
            stream = await self.broker.results(session)
            self._reading.append(asyncio.create_task(self._read(stream, self.spoken[session])))
        self.jobs[job_id] = (session, text)
        payload = msgspec.msgpack.encode(Synthesise("resp_1", text, ""))
        submit = Submit(Job(job_id, JobKind.TTS, session, payload, 0.0))
        await self.broker.dispatch([submit, *([Cancel(job_id, JobKind.TTS, session)] if cancelled else [])])

    async def cancel(self, job_id: str) -> list[JobResult]:
        """Cancel a segment; returns what is published of it by then."""
        await self.broker.dispatch([Cancel(job_id, JobKind.TTS, self.jobs[job_id][0])])
        return await self.kept(job_id)

    async def kept(self, job_id: str) -> list[JobResult]:
        """Its results in the durable stream."""
        return await self.broker.audio(self.jobs[job_id][0], [job_id])

    def are_over(self, job_ids: Iterable[str]) -> bool:
        """Whether each of them is synthesised to its end."""
        return all(any(r.is_last for r in self.spoken[self.jobs[each][0]].of(each)) for each in job_ids)

    async def until_over(self, job_ids: Iterable[str]) -> None:
        """Wait until each of them is synthesised to its end; fails after the timeout."""
        try:
            async with asyncio.timeout(self.patience_s), self._grown:
                await self._grown.wait_for(lambda: self.are_over(job_ids))
        except TimeoutError:
            raise AssertionError("a segment was not spoken to its end") from None

    async def until_idle(self) -> None:
        """Wait until no job is left in the stream, up to the timeout."""
        try:
            async with asyncio.timeout(self.patience_s):
                while await self.broker.connection.commands.xlen(f"avb:{JobKind.TTS}"):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError("a job is still in some worker's hands") from None

    async def assert_whole(self, job_id: str) -> None:
        """It arrived in order, without gaps or duplicates, at the gateway and in the store."""
        session, text = self.jobs[job_id]
        records = self.spoken[session].of(job_id)
        assert [record.sequence for record in records] == list(range(1, len(records) + 1)), "out of order"
        assert np.array_equal(audio_of(records), spoken_by(ScriptedTts(), text)), "a gap or a repeat"
        assert [isinstance(said(record), SynthesisDone) for record in records] == [False] * (len(records) - 1) + [True]
        assert await self.kept(job_id) == records, "the store holds something else"

    async def close(self) -> None:
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)

    async def _read(self, stream: object, spoken: Spoken) -> None:
        async for record in stream:  # type: ignore[attr-defined]
            async with self._grown:
                spoken.records.append((time.perf_counter(), record))
                self._grown.notify_all()


@contextlib.asynccontextmanager
async def synthesis_world(redis_url: str, *, patience_s: float = PATIENCE_S) -> AsyncIterator[SynthesisWorld]:
    """A gateway without workers yet."""
    broker = RedisBroker(redis_url)
    world = SynthesisWorld(broker, patience_s)
    try:
        yield world
    finally:
        await world.close()
        await broker.close()
