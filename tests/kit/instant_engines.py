"""What benchmarks of the platform share: engines that take no time, and the server's processes as children.

A benchmark is its own child program: `process([...])` starts it again with `--role`, and `as_child` is what it then does.
"""

import asyncio
import os
import signal
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import AudioSynthesised, Generated, SynthesisDone, TextDelta, Transcribed
from agentvoicebox.engine.jobs import Generate, Synthesise
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.telemetry.logs import configure
from agentvoicebox.workers.runner import Runner, Task, worker_name
from tests.kit.waiting import PATIENCE_S

CHUNK = bytes(4_800)  # 100 ms of 24 kHz PCM
CHUNK_S = 0.1
STAMP = struct.Struct("<d")  # the first eight bytes of a stamped chunk: the monotonic second at which it was published
READY = "ready"
ROOT = Path(__file__).parents[2]


def instant(chunks: int = 1) -> Callable[[Task], Awaitable[None]]:
    """Engines of all kinds. An answer has so many chunks: the first comes at once, the others in real time."""

    async def work(task: Task) -> None:
        job_id = task.claim.job.job_id
        match task.request:
            case Generate():
                await task.publish(TextDelta(job_id, "It is on its way."))
                await task.publish(Generated(job_id), is_last=True)
            case Synthesise():
                due_s = time.monotonic()
                for _ in range(chunks):
                    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                    due_s += CHUNK_S
                    await task.publish(
                        AudioSynthesised(job_id, 0, 0), audio=STAMP.pack(time.monotonic()) + CHUNK[STAMP.size :]
                    )
                await task.publish(SynthesisDone(job_id), is_last=True)
            case _:
                await _listen(task)

    return work


async def _listen(task: Task) -> None:
    job_id, text = task.claim.job.job_id, "where is it"
    async with aclosing(task.utterance()) as entries:  # type: ignore[type-var]
        async for entry in entries:
            match entry.mark:
                case "probe":
                    await task.publish(Transcribed(job_id, text, entry.at_sample))
                case "end":
                    await task.publish(Transcribed(job_id, text, entry.at_sample, True), is_last=True)
                case _:
                    pass


async def serve_workers(url: str, stop: asyncio.Event, work: Callable[[Task], Awaitable[None]]) -> None:
    """Instant workers of the three kinds."""
    broker = RedisBroker(url)
    kinds = (JobKind.STT, JobKind.LLM, JobKind.TTS)
    runners = [Runner(broker, kind, worker_name(kind), slots=1024, work=work) for kind in kinds]
    tell_ready()
    await asyncio.gather(*(runner.run(stop) for runner in runners))
    await broker.close()


def tell_ready() -> None:
    """The parent waits for this."""
    print(READY, flush=True)


async def as_child(role: str, serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Be a child process: serve until SIGTERM."""
    configure(service=role, level="error")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(stop)


@asynccontextmanager
async def process(command: Sequence[str]) -> AsyncIterator[int]:
    """A child program in Python, from ready to gone; its pid."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    child = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=subprocess.PIPE, env=environment)
    try:
        assert child.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            if (await child.stdout.readline()).decode().strip() != READY:
                raise RuntimeError(f"{' '.join(command)} did not start")
        yield child.pid
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used, all threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def summary(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the worst."""
    cuts = statistics.quantiles(values, n=100)
    figures = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(values)}
    return {name: round(value, 3) for name, value in figures.items()}
