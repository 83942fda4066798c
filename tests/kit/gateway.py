"""A real gateway for tests: uvicorn on a free port over a real broker, with instant workers that say what a test wants."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from structlog.contextvars import get_contextvars

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.engine.inputs import (
    AudioSynthesised,
    Generated,
    SynthesisDone,
    TextDelta,
    ToolCallDelta,
    ToolReturned,
    Transcribed,
    WorkerInput,
)
from agentvoicebox.engine.jobs import CallTool, Generate, JobRequest, Synthesise
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig, AdmissionControl
from agentvoicebox.gateway.admission.health_monitor import HealthMonitor
from agentvoicebox.gateway.admission.load_shedder import LoadShedder
from agentvoicebox.gateway.admission.service_health import ABSENT_S, ServiceHealth
from agentvoicebox.gateway.admission.session_registry import SessionRegistry
from agentvoicebox.gateway.audio.vad_batch import VadBatcher
from agentvoicebox.gateway.pace import ServingPace
from agentvoicebox.gateway.role import serve
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.ports.broker import AudioEntry, Broker, JobKind
from agentvoicebox.ports.policy import Policy
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.sessions.store_time import StoreTime
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.workers.runner import Runner, Task, worker_name
from tests.kit.kits import AGENTS
from tests.kit.scripted_vad import EnergyVad
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
        ids: what the log lines of each of these jobs have.
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
        self.ids: list[dict[str, str]] = []
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
            self.ids.append(dict(get_contextvars()))
            self.has_taken.notify_all()
        match request:
            case Generate():
                said = list(self.writes(request, job_id))
                for index, each in enumerate(said):
                    await task.publish(each, is_last=index == len(said) - 1)
            case Synthesise():
                self.spoken[job_id] = []
                for number in range(self.chunks):
                    await asyncio.sleep(self.pace_s)
                    audio = chunk(job_id, number) if self.is_distinct else CHUNK
                    self.spoken[job_id].append(audio)
                    await task.publish(AudioSynthesised(job_id, number + 1, CHUNK_SAMPLES), audio=audio)
                await task.publish(SynthesisDone(job_id), is_last=True)
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
                    await task.publish(Transcribed(job_id, self.hears, entry.at_sample))
                elif entry.mark == "end":
                    await task.publish(Transcribed(job_id, self.hears, entry.at_sample, True), is_last=True)


class Gateway:
    """A gateway that serves.

    Attributes:
        port: where.
        state: what its calls share.
    """

    def __init__(self, state: GatewayState, port: int, stop: asyncio.Event) -> None:
        self.state = state
        self.port = port
        self.stop = stop

    def url(self, query: str = "model=delivery") -> str:
        """Address of the Realtime socket."""
        return f"ws://127.0.0.1:{self.port}/v1/realtime?{query}"


def calm(*, absent_s: float = ABSENT_S) -> ServiceHealth:
    """Service health in which a busy machine is no reason to refuse calls."""
    return ServiceHealth(absent_s=absent_s, load=LoadShedder(high_s=PATIENCE_S))


@asynccontextmanager
async def gateway(
    broker: RedisBroker,
    *,
    admission: AdmissionConfig | None = None,
    postgres: Postgres | None = None,
    policy: Policy | None = None,
    clock: Clock | None = None,
    call_clock: Clock | None = None,
    health: ServiceHealth | None = None,
    max_calls: int = 24,
    port: int = 0,
    has_heartbeats: bool = False,
    check_interval_s: float = 0.0,
    tls: ssl.SSLContext | None = None,
    **changes: Any,
) -> AsyncIterator[Gateway]:
    """Serve a gateway over `broker`.

    Args:
        broker: of the gateway's state.
        admission: keys and limits; by default no key is needed.
        postgres: for tenants' keys.
        policy: by default the shipped rules.
        clock: for admission alone.
        call_clock: for the calls, and for the directory of sessions.
        health: what works beside the calls.
        max_calls: of the gateway.
        port: 0 chooses a free one.
        has_heartbeats: renew the sessions' ownership.
        check_interval_s: between two health checks; 0 for none.
        tls: with a certificate; None: plain HTTP.
        changes: fields of GatewayState.
    """
    metrics, health = Metrics(), health or calm()
    control = AdmissionControl(
        broker.connection, postgres, metrics=metrics, config=admission, policy=policy, clock=clock
    )
    time = StoreTime(broker.connection, call_clock)
    directory = SessionDirectory(broker.connection, broker.subscriber, time=time)
    sessions = SessionRegistry(
        broker,
        directory,
        control.counts,
        health=health,
        metrics=metrics,
        max_calls=max_calls,
        cleanup_delay_s=0.05,
    )
    state = GatewayState(
        **{
            "broker": broker,
            "directory": directory,
            "session_log": SessionLog(broker.connection),
            "batcher": VadBatcher(EnergyVad()),
            "agents": AGENTS,
            "admission": control,
            "sessions": sessions,
            "health": health,
            "clock": call_clock or SystemClock(),
            "metrics": metrics,
            "pace": ServingPace(speech_per_s=0),  # tests don't listen to what they ask for
            **changes,
        }
    )
    stop = asyncio.Event()
    opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(state, host="127.0.0.1", port=port, announce_ready=opened.set_result, stop=stop, tls=tls),
        name="test gateway",
    )
    running = [asyncio.create_task(state.directory.run(stop))] if has_heartbeats else []
    if check_interval_s:
        monitor = HealthMonitor(
            health,
            StoreHealthMonitor(broker.connection),
            sessions.publish_health,
            language_model=state.agents.default.language_model,
            clock=state.clock,
            metrics=metrics,
            interval_s=check_interval_s,
            frames_late_s=state.lateness.take,
        )
        running.append(asyncio.create_task(monitor.run(stop), name="health monitor"))
    try:
        waited: list[asyncio.Future[Any]] = [serving, opened]
        done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if serving in done:
            await serving
        yield Gateway(state, await opened, stop)
    finally:
        stop.set()
        await serving
        await asyncio.gather(*running)
        await state.batcher.close()
        await control.close()


def tone(ms: int, rate_hz: int = 24_000) -> bytes:
    """Something loud, as int16 PCM; with the overtones of an open mouth, so that it is no hum."""
    at = np.arange(ms * rate_hz // 1000)
    return np.asarray(np.sin(at * 0.1) * 8_000 + np.sin(at * 0.3) * 6_000, np.dtype("<i2")).tobytes()


def silence(ms: int, rate_hz: int = 24_000) -> bytes:
    """Nothing, as int16 PCM."""
    return bytes(ms * rate_hz // 1000 * 2)
