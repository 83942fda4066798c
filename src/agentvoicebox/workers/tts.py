"""The text-to-speech role: one job per segment, published chunk by chunk as it is rendered.

Decides the order in which waiting segments get a thread: first the caller who will run out of audio first. Invariant: chunks come
in order, without gaps or repetitions, also when a second worker takes over in the middle: the engines give the same samples for
the same text, so it renders again and skips what was already published.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from agentvoicebox.audio.pcm import Int16Array, bytes_of
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.engine.inputs import AudioSynthesised, SynthesisDone, WorkerInput
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.errors import BadProviderAnswer
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.ports.providers import Tts
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.registry import build_tts
from agentvoicebox.settings import Settings
from agentvoicebox.workers.health import WorkerHealth, single_engine_check
from agentvoicebox.workers.runner import Runner, Task, worker_name
from agentvoicebox.workers.urgent_threads import Due, UrgentThreads

# Jobs per thread: enough that the threads always have the most urgent chunk to choose, few enough that other
# workers get their share.
SEGMENTS_PER_THREAD = 4


@runtime_checkable
class Stoppable(Protocol):
    """Speech that any thread may stop while another renders it."""

    def close(self) -> None:
        """Stop it."""


class TtsWork:
    """The runner's work function for `tts` jobs."""

    def __init__(self, tts: Tts, threads: UrgentThreads, *, clock: Clock | None = None) -> None:
        """Render with `tts` on `threads`."""
        self._tts = tts
        self._threads = threads
        self._clock = clock or SystemClock()

    async def warm_up(self, text: str = "Hello, how can I help you?") -> None:
        """Synthesise a sentence, so that the first caller does not wait for loading the engine."""
        await self._threads.run(lambda: sum(c.size for c in self._tts.synthesize(text, voice="")), due=Due(0.0))

    async def __call__(self, task: Task) -> None:
        """Synthesise one segment; returns when it is published or the job is cancelled."""
        request = task.request
        if not isinstance(request, Synthesise):
            raise BadProviderAnswer(f"a tts job must ask to speak, not {type(request).__name__}")
        chunks = iter(self._tts.synthesize(request.text, voice=request.voice, speed=request.speed))
        speaking = asyncio.create_task(self._speak(task, chunks, request.within_s or 0.0))
        cancelled = asyncio.create_task(task.cancelled.wait())
        try:
            await asyncio.wait((speaking, cancelled), return_when=asyncio.FIRST_COMPLETED)
            if not cancelled.done():
                await speaking
        finally:
            if isinstance(chunks, Stoppable):
                with contextlib.suppress(ValueError):  # a plain generator that is running; it ends with its thread
                    chunks.close()
            for future in (speaking, cancelled):
                future.cancel()
            await asyncio.gather(speaking, cancelled, return_exceptions=True)

    async def _speak(self, task: Task, chunks: Iterator[Int16Array], within_s: float = 0.0) -> None:
        job_id = task.claim.job.job_id
        skip = await self._already_published(task)
        began_s = self._clock.monotonic_s() + within_s
        rendered = 0
        while True:
            due_s = began_s + rendered / OUTPUT_RATE_HZ  # when the caller has heard all rendered audio
            chunk = await self._threads.run(lambda: next(chunks, None), due=Due(due_s))
            if chunk is None or task.is_cancelled:
                break
            rendered += chunk.size
            fresh = chunk[min(skip, chunk.size) :]
            skip -= chunk.size - fresh.size
            if fresh.size:
                await task.publish(AudioSynthesised(job_id, 0, fresh.size), audio=bytes_of(fresh))
        if not task.is_cancelled:
            await task.publish(SynthesisDone(job_id), is_last=True)

    async def _already_published(self, task: Task) -> int:
        """Number of samples that earlier attempts published."""
        count = 0
        for record in await task.published():
            said = msgspec.msgpack.decode(record.body, type=WorkerInput)
            if isinstance(said, AudioSynthesised):
                count += said.sample_count
        return count


async def serve_tts(settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """The role: load and warm up the first voice engine that works, announce readiness, then work until `stop` is set.

    Raises:
        ProviderUnavailable: no voice engine works. BrokerLost: never; claiming waits for the store.
    """
    models_dir = Path(settings.models_dir) if settings.models_dir else None
    catalogue = ModelCatalogue(models_dir=models_dir, cache_dir=Path(settings.data_dir) / "models")
    tts = build_tts(settings.tts_engines, catalogue, default_voice=settings.tts_voice)
    threads = UrgentThreads(settings.tts_slots, name="tts")
    broker = RedisBroker(settings.redis_url)
    try:
        work = TtsWork(tts, threads)
        await work.warm_up()
        numbers = itertools.count(1)  # a repeated phrase comes from the cache and would prove nothing
        slots, name = settings.tts_slots * SEGMENTS_PER_THREAD, worker_name(JobKind.TTS)
        health = WorkerHealth(
            StoreHealthMonitor(broker.connection),
            JobKind.TTS,
            name,
            single_engine_check(lambda: work.warm_up(f"This is test {next(numbers)}.")),
        )
        runner = Runner(broker, JobKind.TTS, name, slots=slots, work=work, on_failure=health.suspect)
        announce_ready()
        async with health.watching():
            await runner.run(stop)
    finally:
        threads.close()
        await broker.close()
