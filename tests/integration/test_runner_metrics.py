"""What a worker counts of its jobs is what became of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import Generated, JobFailed, TextDelta
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.errors import BadProviderAnswer, ProviderTimeout
from agentvoicebox.ports.broker import Cancel, Job, JobKind, SessionRef, Submit
from agentvoicebox.telemetry.metrics_page import metrics_page
from agentvoicebox.telemetry.worker_metrics import OUTCOMES, WorkerMetrics
from agentvoicebox.workers.runner import Runner, Task

pytestmark = pytest.mark.requirement("A13")

CALL = SessionRef("acme", "sess_1")


class Worker:
    """A runner over a real store, with its metrics."""

    def __init__(self, url: str) -> None:
        self.registry = CollectorRegistry()
        self.metrics = WorkerMetrics(self.registry)
        self.dead: Counter[JobKind] = Counter()
        self.broker = RedisBroker(url, on_dead_letter=self._on_dead_letter)

    def _on_dead_letter(self, kind: JobKind) -> None:
        self.metrics.dead_letter(kind)

    @asynccontextmanager
    async def running(
        self, work: Callable[[Task], Awaitable[None]], drain_s: float = PATIENCE_S
    ) -> AsyncIterator[None]:
        stop = asyncio.Event()
        runner = Runner(self.broker, JobKind.LLM, "w1", slots=2, work=work, drain_s=drain_s, metrics=self.metrics)
        task = asyncio.create_task(runner.run(stop))
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await task

    async def submit(self) -> None:
        request = Generate(response_id="resp_1", language_model="scripted", instructions="", messages=())
        await self.broker.dispatch([Submit(Job("job_1", JobKind.LLM, CALL, msgspec.msgpack.encode(request), 0.0))])

    def value(self, sample: str) -> float:
        lines = metrics_page(self.registry)[0].decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample))

    def outcomes(self) -> dict[str, float]:
        found = {each: self.value(f'avb_worker_jobs_total{{kind="llm",outcome="{each}"}}') for each in OUTCOMES}
        return {outcome: count for outcome, count in found.items() if count}


@pytest.fixture
async def worker(redis_url: str) -> AsyncIterator[Worker]:
    made = Worker(redis_url)
    yield made
    await made.broker.forget(CALL)
    await made.broker.close()


async def done(task: Task) -> None:
    await task.publish(TextDelta("job_1", "one"))
    await task.publish(Generated("job_1"), is_last=True)


async def answers_with_failure(task: Task) -> None:
    await task.publish(JobFailed("job_1", "provider_unavailable", "away"), is_last=True)


async def refuses(task: Task) -> None:
    raise BadProviderAnswer("nonsense")


async def fails_once(task: Task) -> None:
    if task.claim.attempt == 1:
        raise ProviderTimeout("slow")
    await done(task)


@pytest.mark.parametrize(
    ("work", "outcomes", "dead", "reclaimed", "firsts"),
    [
        (done, {"done": 1.0}, 0, 0, 1),
        (answers_with_failure, {"failed": 1.0}, 0, 0, 1),
        (refuses, {"failed": 1.0}, 1, 0, 0),
        (fails_once, {"done": 1.0, "retried": 1.0}, 0, 1, 1),
    ],
)
async def test_a_job_is_counted_by_its_end(
    worker: Worker,
    work: Callable[[Task], Awaitable[None]],
    outcomes: dict[str, float],
    dead: int,
    reclaimed: int,
    firsts: int,
) -> None:
    async with worker.running(work):
        assert worker.value('avb_worker_slots{kind="llm"}') == 2
        await worker.submit()
        await until(lambda: worker.outcomes() != outcomes, "the job has ended")
    assert worker.outcomes() == outcomes
    assert worker.value('avb_dead_letters_total{kind="llm"}') == dead
    assert worker.value('avb_jobs_reclaimed_total{kind="llm"}') == reclaimed
    assert worker.value('avb_worker_first_result_seconds_count{kind="llm"}') == firsts
    assert worker.value('avb_worker_busy_slots{kind="llm"}') == 0


async def test_a_job_that_is_cancelled_is_busy_until_then(worker: Worker) -> None:
    async def waits(task: Task) -> None:
        await task.cancelled.wait()

    async with worker.running(waits):
        await worker.submit()
        await until(lambda: worker.value('avb_worker_busy_slots{kind="llm"}') != 1, "the job is claimed")
        before_s = worker.value('avb_worker_busy_seconds_total{kind="llm"}')
        await until(lambda: worker.value('avb_worker_busy_seconds_total{kind="llm"}') <= before_s, "its time runs")
        await worker.broker.dispatch([Cancel("job_1", JobKind.LLM, CALL)])
        await until(lambda: worker.outcomes() != {"cancelled": 1.0}, "the job is cancelled")
    assert worker.value('avb_worker_busy_slots{kind="llm"}') == 0


async def test_a_job_that_a_draining_worker_hands_back_goes_on_elsewhere(worker: Worker) -> None:
    async def hangs(task: Task) -> None:
        await asyncio.Event().wait()

    async with worker.running(hangs, drain_s=0.0):
        await worker.submit()
        await until(lambda: worker.value('avb_worker_busy_slots{kind="llm"}') != 1, "the job is claimed")
    assert worker.outcomes() == {"retried": 1.0}
    (claim,) = await worker.broker.claim(JobKind.LLM, "w2", slots=1, wait_s=PATIENCE_S)
    await worker.broker.release(claim)
