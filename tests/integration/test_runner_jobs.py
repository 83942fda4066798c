"""How the runner sees jobs to their end, over both brokers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from tests.kit.memory_broker import MemoryBroker
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import Generated, JobFailed, TextDelta, WorkerInput
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.errors import BadProviderAnswer, ProviderTimeout
from agentvoicebox.ports.broker import Broker, Cancel, Job, JobKind, JobResult, SessionRef, Submit
from agentvoicebox.workers.runner import ClaimLost, Runner, Task

CALL = SessionRef("acme", "sess_1")


@pytest.fixture(params=["memory", "valkey"])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    made: Broker
    made = MemoryBroker() if request.param == "memory" else RedisBroker(request.getfixturevalue("redis_url"))
    yield made
    await made.close()


def submit(job_id: str = "job_1") -> Submit:
    request = Generate(response_id="resp_1", language_model="scripted", instructions="", messages=())
    return Submit(Job(job_id, JobKind.LLM, CALL, msgspec.msgpack.encode(request), 0.0))


@asynccontextmanager
async def running(
    broker: Broker,
    work: Callable[[Task], Awaitable[None]],
    *,
    slots: int = 2,
    drain_s: float = PATIENCE_S,
    name: str = "w1",
) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    runner = Runner(broker, JobKind.LLM, name, slots=slots, work=work, drain_s=drain_s, heartbeat_s=0.1)
    task = asyncio.create_task(runner.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE_S * 2):
            await task
    assert runner.busy == 0


async def until_last(broker: Broker, *job_ids: str) -> list[JobResult]:
    got: list[JobResult] = []
    results = await broker.results(CALL)
    records = aiter(results)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while {record.job_id for record in got if record.is_last} != set(job_ids):
                got.append(await anext(records))
    finally:
        await results.close()
        await records.aclose()  # type: ignore[attr-defined]
    return got


def inputs(records: list[JobResult]) -> list[WorkerInput]:
    return [msgspec.msgpack.decode(record.body, type=WorkerInput) for record in records]


async def test_work_sees_its_request_and_publishes_its_answer(broker: Broker) -> None:
    async def work(task: Task) -> None:
        assert isinstance(task.request, Generate)
        await task.publish(TextDelta(task.claim.job.job_id, task.request.language_model))
        await task.publish(Generated(task.claim.job.job_id), is_last=True)

    async with running(broker, work):
        await broker.dispatch([submit()])
        got = inputs(await until_last(broker, "job_1"))
    assert got == [TextDelta("job_1", "scripted"), Generated("job_1")]


async def test_no_more_jobs_run_than_there_are_slots(broker: Broker) -> None:
    busy, most = 0, 0
    go = asyncio.Event()
    two_are_busy = asyncio.Event()

    async def work(task: Task) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        if busy == 2:
            two_are_busy.set()
        await go.wait()
        busy -= 1
        await task.publish(Generated(task.claim.job.job_id), is_last=True)

    ids = [f"job_{number}" for number in range(7)]
    async with running(broker, work, slots=2):
        await broker.dispatch([submit(job_id) for job_id in ids])
        async with asyncio.timeout(PATIENCE_S):
            await two_are_busy.wait()
        go.set()
        await until_last(broker, *ids)
    assert most == 2


async def test_a_retryable_error_gets_another_attempt_that_goes_on_after_the_first(broker: Broker) -> None:
    async def work(task: Task) -> None:
        if task.claim.attempt == 1:
            await task.publish(TextDelta("job_1", "one"))
            raise ProviderTimeout("slow")
        (earlier,) = inputs(await task.published())
        assert earlier == TextDelta("job_1", "one")
        await task.publish(Generated("job_1"), is_last=True)

    async with running(broker, work):
        await broker.dispatch([submit()])
        got = await until_last(broker, "job_1")
    assert [(record.sequence, record.attempt) for record in got] == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("error", "attempts", "code"),
    [
        (ProviderTimeout("slow"), 3, "provider_timeout"),
        (BadProviderAnswer("nonsense"), 1, "bad_provider_answer"),
        (ZeroDivisionError("secret words"), 3, "internal_error"),
    ],
)
async def test_a_job_that_keeps_failing_ends_with_a_reason(
    broker: Broker, error: Exception, attempts: int, code: str
) -> None:
    seen = []

    async def work(task: Task) -> None:
        seen.append(task.claim.attempt)
        raise error

    async with running(broker, work):
        await broker.dispatch([submit()])
        (failed,) = inputs(await until_last(broker, "job_1"))
    assert isinstance(failed, JobFailed)
    assert failed.code == code
    assert "secret" not in failed.message
    assert seen == list(range(1, attempts + 1))


async def test_cancelling_reaches_work_in_hand_and_its_records_stop(broker: Broker) -> None:
    started, told = asyncio.Event(), asyncio.Event()

    async def work(task: Task) -> None:
        started.set()
        await task.cancelled.wait()
        assert task.is_cancelled
        told.set()
        with pytest.raises(ClaimLost):
            await task.publish(TextDelta("job_1", "late"))

    async with running(broker, work), asyncio.timeout(PATIENCE_S):
        await broker.dispatch([submit()])
        await started.wait()
        await broker.dispatch([Cancel("job_1", JobKind.LLM, CALL)])
        await told.wait()
    assert await broker.claim(JobKind.LLM, "w2", slots=1, wait_s=0) == []


async def test_work_that_ignores_its_cancellation_is_stopped(broker: Broker) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def work(task: Task) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with running(broker, work), asyncio.timeout(PATIENCE_S):
        await broker.dispatch([submit()])
        await started.wait()
        await broker.dispatch([Cancel("job_1", JobKind.LLM, CALL)])
        await stopped.wait()


async def test_a_stopping_runner_finishes_what_it_holds(broker: Broker) -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def work(task: Task) -> None:
        started.set()
        await go.wait()
        await task.publish(Generated("job_1"), is_last=True)

    async with running(broker, work) as stop:
        await broker.dispatch([submit()])
        async with asyncio.timeout(PATIENCE_S):
            await started.wait()
        stop.set()
        await asyncio.sleep(0)
        go.set()
        assert len(await until_last(broker, "job_1")) == 1


async def test_what_a_stopping_runner_can_not_finish_the_next_one_takes_at_once(broker: Broker) -> None:
    started = asyncio.Event()

    async def never(task: Task) -> None:
        started.set()
        await asyncio.Event().wait()

    async def finish(task: Task) -> None:
        await task.publish(Generated("job_1"), is_last=True)

    async with running(broker, never, drain_s=0.0):
        await broker.dispatch([submit()])
        async with asyncio.timeout(PATIENCE_S):
            await started.wait()
    (claim,) = await broker.claim(JobKind.LLM, "probe", slots=1, wait_s=0)
    await broker.hand_back(claim)
    async with running(broker, finish, name="w2"):
        (record,) = await until_last(broker, "job_1")
    assert record.attempt == 3


async def test_work_that_returns_without_a_last_record_is_over(broker: Broker) -> None:
    done = asyncio.Event()

    async def work(task: Task) -> None:
        done.set()

    async with running(broker, work), asyncio.timeout(PATIENCE_S):
        await broker.dispatch([submit()])
        await done.wait()
    assert await broker.claim(JobKind.LLM, "w2", slots=1, wait_s=0) == []
