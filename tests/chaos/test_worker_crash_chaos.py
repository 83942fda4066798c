"""Workers killed with -9 and a store killed with -9, under load: the caller loses time, never a record."""

import asyncio
import itertools
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pytest
from redis.asyncio import Redis
from tests.kit.role_process import role_process
from tests.kit.scripted_roles import CHUNKS, RECLAIM_IDLE
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import JobFailed, WorkerInput
from agentvoicebox.engine.jobs import Synthesise
from agentvoicebox.ports.broker import Job, JobKind, JobResult, ResultStream, SessionRef, Submit
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.workers.runner import worker_name

pytestmark = pytest.mark.requirement("A4.4-4.5", "C4")


@asynccontextmanager
async def worker_process(
    redis_url: str, function: str, *, count: int = 1, reclaim_idle_s: float = keys.RECLAIM_IDLE_S
) -> AsyncIterator[list[Process]]:
    """Real worker processes, ready. Those that are still alive at the end are killed."""
    settings = {"AVB_REDIS_URL": redis_url, RECLAIM_IDLE: str(reclaim_idle_s)}
    target = f"tests.kit.scripted_roles:{function}"
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(role_process("worker", target, settings)) for _ in range(count)]


def speak(number: int, session: SessionRef, kind: JobKind = JobKind.TTS) -> Submit:
    request = msgspec.msgpack.encode(Synthesise(response_id="r", text="hello", voice="v"))
    return Submit(Job(f"job_{number}", kind, session, request, 0.0))


async def read_until_last(
    results: ResultStream, jobs: int, on_record: Callable[[], None]
) -> dict[str, list[JobResult]]:
    got: dict[str, list[JobResult]] = {}
    iterator = aiter(results)
    async with asyncio.timeout(PATIENCE_S):
        while sum(records[-1].is_last for records in got.values()) < jobs:
            record = await anext(iterator)
            got.setdefault(record.job_id, []).append(record)
            on_record()
    await results.close()
    await iterator.aclose()  # type: ignore[attr-defined]
    return got


async def test_a_job_of_a_worker_killed_in_the_middle_is_finished_by_another_without_gap_or_repeat(
    redis_url: str,
) -> None:
    listener = RedisBroker(redis_url)
    session = SessionRef("acme", "sess_1")
    try:
        async with worker_process(redis_url, "speaker", count=2) as workers:
            results = await listener.results(session)
            await listener.dispatch([speak(1, session)])
            iterator = aiter(results)
            got: list[JobResult] = []
            async with asyncio.timeout(PATIENCE_S):
                while len(got) < 5:
                    got.append(await anext(iterator))
                holder = await holder_of(redis_url, workers)
                holder.kill()
                await holder.wait()
                while not got[-1].is_last:
                    got.append(await anext(iterator))
            await results.close()
            await iterator.aclose()  # type: ignore[attr-defined]
        assert [record.sequence for record in got] == list(range(1, CHUNKS + 1))
        assert [int.from_bytes(record.audio, "little") for record in got] == list(range(1, CHUNKS + 1))
        assert {record.attempt for record in got} == {1, 2}
    finally:
        await listener.close()


async def holder_of(redis_url: str, workers: list[Process]) -> Process:
    """Which of the workers has the one pending job."""
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        (pending,) = await redis.xpending_range(
            keys.job_stream(JobKind.TTS), keys.group(JobKind.TTS), min="-", max="+", count=1
        )
    by_name = {worker_name(JobKind.TTS, worker.pid): worker for worker in workers}
    return by_name[str(pending["consumer"])]


async def test_a_worker_known_to_be_dead_is_replaced_without_waiting_for_its_silence(redis_url: str) -> None:
    # The survivor alone would never notice, as it waits an hour for silence: the supervisor's word does it.
    listener = RedisBroker(redis_url)
    session = SessionRef("acme", "sess_1")
    try:
        async with (
            worker_process(redis_url, "speaker", count=2, reclaim_idle_s=3_600) as workers,
            asyncio.timeout(PATIENCE_S),
        ):
            results = await listener.results(session)
            await listener.dispatch([speak(1, session)])
            iterator = aiter(results)
            got = [await anext(iterator)]
            holder = await holder_of(redis_url, workers)
            holder.kill()
            await holder.wait()
            await listener.release_consumer(JobKind.TTS, worker_name(JobKind.TTS, holder.pid))
            while got[-1].attempt == 1:
                got.append(await anext(iterator))
            await results.close()
            await iterator.aclose()  # type: ignore[attr-defined]
    finally:
        await listener.close()


async def test_the_store_killed_and_restarted_under_load_costs_no_record_and_no_task(
    own_data_folder: DataFolder,
) -> None:
    server = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets)
    await server.start()
    broker = RedisBroker(server.url)
    calls = [SessionRef("acme", f"sess_{number}") for number in range(8)]
    jobs_each = 12
    try:
        async with worker_process(server.url, "writer", count=2) as workers:
            heard = itertools.count(1)
            kill_at = {20: asyncio.Event(), 80: asyncio.Event()}  # of 192 records in all

            def on_record() -> None:
                number = next(heard)
                if number in kill_at:
                    kill_at[number].set()

            async def call(session: SessionRef) -> dict[str, list[JobResult]]:
                results = await broker.results(session)
                reading = asyncio.create_task(read_until_last(results, jobs_each, on_record))
                for number in range(jobs_each):
                    await broker.dispatch([speak(number, session, JobKind.LLM)])
                    await asyncio.wait({reading}, timeout=0.05)
                return await reading

            async def kill_twice() -> None:
                for moment in kill_at.values():
                    await moment.wait()
                    assert server.process is not None
                    server.kill()
                    await server.process.wait()
                    await server.start()

            async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
                speaking = [group.create_task(call(session)) for session in calls]
                group.create_task(kill_twice())
            for task in speaking:
                answers = task.result()
                assert sorted(answers) == sorted(f"job_{number}" for number in range(jobs_each))
                for records in answers.values():
                    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
                    last = msgspec.msgpack.decode(records[-1].body, type=WorkerInput)
                    assert not isinstance(last, JobFailed)
            assert all(worker.returncode is None for worker in workers)
    finally:
        await broker.close()
        await server.stop()
