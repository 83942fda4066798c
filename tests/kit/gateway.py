"""A real gateway for tests: uvicorn on a free port over a real broker, with instant workers that say what a test wants."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from agentvoicebox.agents import Agents
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.vitals import VitalSigns
from agentvoicebox.clock import SystemClock
from agentvoicebox.engine.inputs import (
    Generated,
    Heard,
    SpeechDone,
    Spoken,
    TextDelta,
    ToolCallDelta,
    ToolReturned,
    WorkerInput,
)
from agentvoicebox.engine.jobs import CallTool, Generate, JobRequest, Speak
from agentvoicebox.gateway.house import House
from agentvoicebox.gateway.modes import Surroundings
from agentvoicebox.gateway.pressure import Pressure
from agentvoicebox.gateway.reception import Reception
from agentvoicebox.gateway.role import serve
from agentvoicebox.gateway.vad_batch import VadBatcher
from agentvoicebox.gateway.watch import Watch
from agentvoicebox.ports.broker import AudioEntry, Broker, JobKind
from agentvoicebox.providers.vad.scripted import EnergyVad
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.workers.runner import Runner, Task, worker_name
from tests.kit.waiting import PATIENCE_S

CHUNK_SAMPLES = 2_400  # 100 ms at 24 kHz
CHUNK = (np.sin(np.arange(CHUNK_SAMPLES) * 0.05) * 8_000).astype("<i2").tobytes()


def chunk(job_id: str, number: int) -> bytes:
    """A chunk like no other: noise of its own seed."""
    seed = int(job_id[-8:], 16) + number
    return np.random.default_rng(seed).integers(-8_000, 8_000, CHUNK_SAMPLES, dtype="<i2").tobytes()


Writes = Callable[[Generate, str], Iterator[WorkerInput]]


def says(text: str) -> Writes:
    """A language model that always writes the same."""

    def write(request: Generate, job_id: str) -> Iterator[WorkerInput]:
        yield TextDelta(job_id, text)
        yield Generated(job_id)

    return write


def calls_tool(name: str, arguments: str, then: str) -> Writes:
    """A language model that calls a tool once, then speaks."""

    def write(request: Generate, job_id: str) -> Iterator[WorkerInput]:
        if any(message.role == "tool" for message in request.messages):
            yield TextDelta(job_id, then)
            yield Generated(job_id)
        else:
            yield ToolCallDelta(job_id, 0, name, arguments)
            yield Generated(job_id, "tool_calls")

    return write


class Workers:
    """Workers of every kind in this process, as fast as the broker; each result goes through it like a real one's.

    Attributes:
        hears: the text of every utterance.
        writes: what the language model does.
        chunks: audio chunks a segment.
        pace_s: what a chunk takes.
        is_distinct: no two chunks are alike.
        spoken: chunks by job, in the order in which the jobs were taken.
        heard: what came of each utterance, by job.
        taken: jobs as they were claimed.
    """

    def __init__(self, broker: Broker, *, hears: str = "where is my parcel", writes: Writes | None = None) -> None:
        self.broker = broker
        self.hears = hears
        self.writes = writes or says("It is on its way.")
        self.chunks = 2
        self.pace_s = 0.0
        self.is_distinct = False
        self.spoken: dict[str, list[bytes]] = {}
        self.heard: dict[str, list[AudioEntry]] = {}
        self.taken: list[tuple[JobKind, JobRequest]] = []
        self.has_taken = asyncio.Condition()

    async def run(
        self,
        stop: asyncio.Event,
        kinds: Sequence[JobKind] = (JobKind.STT, JobKind.LLM, JobKind.TTS, JobKind.TOOL),
    ) -> None:
        """Until `stop`."""
        runners = [Runner(self.broker, kind, worker_name(kind), slots=64, work=self._work, drain_s=0) for kind in kinds]
        await asyncio.gather(*(runner.run(stop) for runner in runners))

    async def wait_for(self, kind: JobKind, count: int = 1) -> list[JobRequest]:
        """The jobs of a kind, once there are `count`."""
        async with asyncio.timeout(PATIENCE_S), self.has_taken:
            await self.has_taken.wait_for(lambda: sum(1 for k, _ in self.taken if k is kind) >= count)
        return [request for k, request in self.taken if k is kind]

    async def _work(self, task: Task) -> None:
        request, job_id = task.request, task.claim.job.job_id
        async with self.has_taken:
            self.taken.append((task.claim.job.kind, request))
            self.has_taken.notify_all()
        match request:
            case Generate():
                said = list(self.writes(request, job_id))
                for index, each in enumerate(said):
                    await task.publish(each, is_last=index == len(said) - 1)
            case Speak():
                self.spoken[job_id] = []
                for number in range(self.chunks):
                    await asyncio.sleep(self.pace_s)
                    audio = chunk(job_id, number) if self.is_distinct else CHUNK
                    self.spoken[job_id].append(audio)
                    await task.publish(Spoken(job_id, number + 1, CHUNK_SAMPLES), audio=audio)
                await task.publish(SpeechDone(job_id), is_last=True)
            case CallTool():
                await task.publish(ToolReturned(job_id, '{"status":"found"}'), is_last=True)
            case _:
                await self._listen(task, job_id)

    async def _listen(self, task: Task, job_id: str) -> None:
        last = -1
        async with contextlib.aclosing(task.utterance()) as entries:  # type: ignore[type-var]
            async for entry in entries:
                self.heard.setdefault(job_id, []).append(entry)
                if entry.mark == "probe" and entry.at_sample != last:
                    last = entry.at_sample
                    await task.publish(Heard(job_id, self.hears, entry.at_sample))
                elif entry.mark == "end":
                    await task.publish(Heard(job_id, self.hears, entry.at_sample, True), is_last=True)


class Gateway:
    """A gateway that serves.

    Attributes:
        port: where.
        house: what its calls share.
    """

    def __init__(self, house: House, port: int, stop: asyncio.Event) -> None:
        self.house = house
        self.port = port
        self.stop = stop

    def url(self, query: str = "model=delivery") -> str:
        """Address of the Realtime socket."""
        return f"ws://127.0.0.1:{self.port}/v1/realtime?{query}"


def calm(**options: float) -> Surroundings:
    """Surroundings in which a busy machine is no reason to refuse calls; `options` are those of Surroundings."""
    return Surroundings(pressure=Pressure(high_s=PATIENCE_S), **options)


@asynccontextmanager
async def gateway(broker: RedisBroker, **changes: Any) -> AsyncIterator[Gateway]:
    """Serve a house over `broker`.

    `changes` are fields of House, or `api_keys`, `reception` (more arguments of Reception), `port`, `heartbeats`, `watches_s`.
    """
    metrics = Metrics()
    options = {"postgres": None, "keys": changes.pop("api_keys", ()), **changes.pop("reception", {})}
    reception = Reception(broker.connection, metrics=metrics, **options)
    port: int = changes.pop("port", 0)
    has_heartbeats: bool = changes.pop("heartbeats", False)
    watches_s: float = changes.pop("watches_s", 0.0)
    batcher = VadBatcher(EnergyVad())
    house = House(
        **{  # type: ignore[arg-type]
            "broker": broker,
            "directory": SessionDirectory(broker.connection, broker.subscriber),
            "past": SessionLog(broker.connection),
            "batcher": batcher,
            "agents": Agents(),
            "reception": reception,
            "clock": SystemClock(),
            "metrics": metrics,
            "around": calm(),
            "max_calls": 24,
            "grace_s": 0.05,
            **changes,
        }
    )
    stop = asyncio.Event()
    opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(house, host="127.0.0.1", port=port, announce_ready=opened.set_result, stop=stop), name="test gateway"
    )
    keeping = [asyncio.create_task(house.directory.run(stop))] if has_heartbeats else []
    if watches_s:
        watch = Watch(house, VitalSigns(broker.connection), every_s=watches_s)
        keeping.append(asyncio.create_task(watch.run(stop), name="watch"))
    try:
        done, _ = await asyncio.wait([serving, opened], return_when=asyncio.FIRST_COMPLETED)
        if serving in done:
            await serving
        yield Gateway(house, await opened, stop)
    finally:
        stop.set()
        await serving
        await asyncio.gather(*keeping)
        await batcher.close()
        await reception.close()


def tone(ms: int, rate_hz: int = 24_000) -> bytes:
    """Something loud, as int16 PCM."""
    return (np.sin(np.arange(ms * rate_hz // 1000) * 0.1) * 12_000).astype("<i2").tobytes()


def silence(ms: int, rate_hz: int = 24_000) -> bytes:
    """Nothing, as int16 PCM."""
    return bytes(ms * rate_hz // 1000 * 2)
