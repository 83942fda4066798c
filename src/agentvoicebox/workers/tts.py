"""The text-to-speech role: one job per segment, published chunk by chunk as it is rendered.

Decides the order in which waiting segments get a thread: first the caller who will run out of audio first. Invariant: chunks come
in order, without gaps or repetitions, also when a second worker takes over in the middle: the engines give the same samples for
the same text, so it renders again and skips what was already published.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import partial
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
from agentvoicebox.kits.registry import kits_of
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.ports.providers import Tts
from agentvoicebox.processes.cores import slots
from agentvoicebox.processes.priority import yield_processor
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.registry import build_tts
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.workers.health import WorkerHealth, single_engine_check
from agentvoicebox.workers.prepared_lines import prepare
from agentvoicebox.workers.runner import Runner, Task, store_check, worker_name
from agentvoicebox.workers.urgent_threads import Due, EngineThreads, UrgentThreads

# Jobs at a time: of each call the segment that is heard and the next one, so that speech that lies ahead and waits keeps no
# caller's first sound out. The threads bound what is rendered.
SEGMENTS_PER_CALL = 2
SEGMENTS_PER_THREAD = 4  # where that is more


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


async def serve_tts(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """The role: load and warm up the first voice engine that works, announce readiness, then work until `stop` is set.

    Raises:
        ProviderUnavailable: no speech engine works. BrokerLost: never; claiming waits for the store.
    """
    yield_processor()
    at_a_time = slots(settings.tts_slots)
    catalogue = ModelCatalogue.of(settings.models_dir, settings.data_dir)
    metrics, kind = report.workers, JobKind.TTS
    tts = build_tts(
        settings.tts_engines,
        catalogue,
        default_voice=settings.tts_voice,
        default_speed=settings.tts_speed,
        on_change=report.breakers.changed,
    )
    report.breakers.watch(tts.breakers)
    threads = UrgentThreads(
        at_a_time, name="tts", on_run=partial(metrics.engine_ran, kind), engine_threads=EngineThreads.of_process()
    )
    metrics.has_engine(kind, at_a_time, lambda: threads.waiting)
    broker = RedisBroker(settings.redis_url, on_dead_letter=metrics.dead_letter)
    preparing: asyncio.Task[None] | None = None
    try:
        work = TtsWork(tts, threads)
        await work.warm_up()
        numbers = itertools.count(1)  # a repeated phrase comes from the cache and would prove nothing
        name = worker_name(kind)
        health = WorkerHealth(
            StoreHealthMonitor(broker.connection),
            kind,
            name,
            single_engine_check(lambda: work.warm_up(f"This is test {next(numbers)}.")),
        )
        jobs = max(at_a_time * SEGMENTS_PER_THREAD, settings.most_calls * SEGMENTS_PER_CALL)
        runner = Runner(broker, kind, name, slots=jobs, work=work, on_failure=health.suspect, metrics=metrics)
        report.needs("store", store_check(broker, kind))
        report.needs("speech engines", health.state)
        announce_ready()
        lines = [line for kit in kits_of(settings) for line in kit.prepared_lines()]
        preparing = asyncio.create_task(prepare(tts, threads, lines), name="prepared lines")
        async with health.watching():
            await runner.run(stop)
    finally:
        if preparing is not None:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
        threads.close()
        await broker.close()
