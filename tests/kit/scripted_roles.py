"""Roles for tests of the supervisor and of dying workers: real processes, real runner, scripted work."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import AudioSynthesised, Generated, TextDelta
from agentvoicebox.errors import BrokerLost, NotInstalled, SettingsError
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.workers.runner import Runner, Task, worker_name

CHUNKS = 40
RECLAIM_IDLE = (
    "RECLAIM_IDLE_S"  # environment: the silence in seconds after which a speaker takes over what another holds
)


async def idle(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """Ready at once, does nothing. Notes its pid, and its end."""
    print(f"idle speaks from {os.getpid()}", flush=True)
    _note(settings, "alive")
    announce_ready()
    await stop.wait()
    _note(settings, "drained")


def _note(settings: Settings, state: str) -> None:
    Path(settings.data_dir, f"idle-{os.getpid()}").write_text(state)


async def misconfigured(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """Can't start, and says why."""
    raise SettingsError("the model lies nowhere; pull it")


async def uninstalled(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """Lacks a model."""
    raise NotInstalled("the model ears is not installed: type `agentvoicebox models pull ears`")


async def storeless(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """Can't reach the store, which may come back."""
    raise BrokerLost("the store is away")


async def broken(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """Has a bug, whose error holds what a caller said."""
    raise KeyError("words of a caller")


async def deaf(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """Ready, and never drains."""
    announce_ready()
    await asyncio.Event().wait()


async def _speak(task: Task) -> None:
    """Forty chunks, 5 ms each; a second attempt goes on after the chunks of the first."""
    job_id = task.claim.job.job_id
    for number in range(len(await task.published()) + 1, CHUNKS + 1):
        await asyncio.sleep(0.005)
        await task.publish(
            AudioSynthesised(job_id, number, 1), audio=number.to_bytes(2, "little"), is_last=number == CHUNKS
        )


async def _answer(task: Task) -> None:
    job_id = task.claim.job.job_id
    if not await task.published():
        await task.publish(TextDelta(job_id, "well"))
    await asyncio.sleep(0.01)
    await task.publish(Generated(job_id), is_last=True)


async def speaker(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """A synthesis worker."""
    broker = RedisBroker(settings.redis_url, reclaim_idle_s=float(os.environ[RECLAIM_IDLE]))
    try:
        announce_ready()
        await Runner(broker, JobKind.TTS, worker_name(JobKind.TTS), slots=4, work=_speak).run(stop)
    finally:
        await broker.close()


async def writer(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """A language model worker."""
    broker = RedisBroker(settings.redis_url)
    try:
        announce_ready()
        await Runner(broker, JobKind.LLM, worker_name(JobKind.LLM), slots=8, work=_answer).run(stop)
    finally:
        await broker.close()
