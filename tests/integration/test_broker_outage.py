"""What the Valkey broker does when connections break, and how many it uses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.cluster import RedisCluster
from tests.kit.client import until
from tests.kit.store import connections_to, looking_into
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import AppendAudio, AudioEntry, Cancel, Job, JobKind, SessionRef, Submit
from agentvoicebox.workers.runner import Runner, Task

CALL = SessionRef("acme", "sess_1")


@pytest.fixture
async def broker(redis_url: str) -> AsyncIterator[RedisBroker]:
    made = RedisBroker(redis_url)
    yield made
    await made.close()


def submit(job_id: str, kind: JobKind = JobKind.LLM, session: SessionRef = CALL) -> Submit:
    return Submit(Job(job_id, kind, session, b"", 0.0))


async def test_a_record_announced_while_the_subscription_was_down_is_delivered(store_url: str) -> None:
    broker = RedisBroker(store_url)
    results = await broker.results(CALL)
    records = aiter(results)
    await broker.dispatch([submit("job_1")])
    (claim,) = await broker.claim(JobKind.LLM, "w", slots=1, wait_s=PATIENCE_S)
    waiting = asyncio.ensure_future(anext(records))
    for _ in range(10):  # time enough for the reader to find the streams empty, so that it lives by announcements
        await broker.queue_age_s(JobKind.LLM)
    with looking_into(store_url) as store:
        everywhere = {"target_nodes": "all"} if isinstance(store, RedisCluster) else {}
        store.execute_command("CLIENT KILL", "TYPE", "pubsub", **everywhere)  # type: ignore[no-untyped-call]
    await broker.publish(claim, b"only", is_last=True)  # nothing comes after it that could show the gap
    async with asyncio.timeout(PATIENCE_S):
        assert (await waiting).body == b"only"
    await results.close()
    await records.aclose()  # type: ignore[attr-defined]
    await broker.close()


@pytest.mark.requirement("A1.2")
async def test_commands_go_on_when_every_connection_was_cut(broker: RedisBroker, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        for number in range(5):
            await redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await broker.dispatch([submit(f"job_{number}")])
            (claim,) = await broker.claim(JobKind.LLM, "w", slots=1, wait_s=PATIENCE_S)
            await redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert await broker.publish(claim, b"x", is_last=True)


async def test_an_absent_store_is_reported_in_time() -> None:
    broker = RedisBroker("unix:///nonexistent/valkey.sock", retry_for_s=0.1)
    try:
        with pytest.raises(BrokerLost):
            await broker.dispatch([submit("job_1")])
        with pytest.raises(BrokerLost):
            await broker.claim(JobKind.LLM, "w", slots=1, wait_s=0.1)
        with pytest.raises(BrokerLost):
            await broker.results(CALL)
    finally:
        await broker.close()


async def test_a_refused_command_is_reported_as_such(redis_url: str, broker: RedisBroker) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.set(keys.job_stream(JobKind.LLM), "no stream", ex=60)
        with pytest.raises(BrokerLost, match="refused"):
            await broker.dispatch([submit("job_1")])


@pytest.mark.requirement("A1.2")
async def test_many_sessions_and_utterances_stay_within_fifty_connections(store_url: str) -> None:
    broker = RedisBroker(store_url)
    sessions = [SessionRef("acme", f"sess_{number}") for number in range(300)]
    readers = await asyncio.gather(*(broker.results(session) for session in sessions))
    await broker.dispatch([submit(f"job_{n}", JobKind.STT, session) for n, session in enumerate(sessions)])
    claims = await broker.claim(JobKind.STT, "w", slots=len(sessions), wait_s=PATIENCE_S)
    assert len(claims) == len(sessions)

    async def hear(number: int) -> None:
        async for _ in broker.utterance(claims[number]):
            pass

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        for number in range(len(claims)):
            group.create_task(hear(number))
        for kind in JobKind:
            group.create_task(broker.claim(kind, "w2", slots=1, wait_s=0.5))
        for claim in claims:  # hundreds who wait for a connection at once
            group.create_task(broker.dispatch([AppendAudio(claim.job.session, claim.job.job_id, AudioEntry("end", 0))]))
    with looking_into(store_url) as store:
        assert 0 < len(connections_to(store)) <= 50
    for reader in readers:
        await reader.close()
    await broker.close()


@pytest.mark.parametrize("bad", ["a/b", "a{b", "}"])
async def test_an_id_that_could_reach_into_other_keys_is_refused(broker: RedisBroker, bad: str) -> None:
    with pytest.raises(ValueError, match="may not contain"):
        await broker.dispatch([submit("job_1", session=SessionRef(bad, "sess_1"))])


async def test_a_job_that_can_not_be_read_is_laid_aside_and_holds_nobody_up(
    broker: RedisBroker, redis_url: str
) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.xadd(keys.job_stream(JobKind.LLM), {b"j": b"rubbish"})
        await broker.dispatch([submit("job_1")])
        claims = await broker.claim(JobKind.LLM, "w", slots=2, wait_s=PATIENCE_S)
        assert [claim.job.job_id for claim in claims] == ["job_1"]
        entries: Any = await redis.xrange(keys.dead_stream(JobKind.LLM))
        ((_, dead),) = entries
        assert dead == {b"j": b"rubbish", b"code": b"unreadable"}
        assert await redis.xlen(keys.job_stream(JobKind.LLM)) == 1


async def test_a_bad_announcement_deafens_nobody(broker: RedisBroker, redis_url: str) -> None:
    results = await broker.results(CALL)
    records = aiter(results)
    async with asyncio.timeout(PATIENCE_S), Redis.from_url(redis_url) as redis:
        await redis.execute_command("SPUBLISH", keys.channel(JobKind.LLM, CALL), b"rubbish")
        await broker.dispatch([submit("job_1")])
        (claim,) = await broker.claim(JobKind.LLM, "w", slots=1, wait_s=PATIENCE_S)
        await broker.publish(claim, b"x", is_last=True)
        assert (await anext(records)).body == b"x"
    await results.close()
    await records.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("answered", [0, 1], ids=["whose-it-is", "its-release"])
async def test_a_cancelled_job_whose_end_the_store_missed_is_removed_by_its_own_worker_later(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, answered: int
) -> None:
    broker = RedisBroker(redis_url, reclaim_idle_s=0.1)
    call, answers_left = broker.connection.call, [1 << 30]

    async def call_until_away(what: Any) -> Any:
        answers_left[0] -= 1
        if answers_left[0] < 0:
            raise BrokerLost("away")
        return await call(what)

    async def work(task: Task) -> None:
        await broker.dispatch([Cancel("job_1", JobKind.STT, CALL)])
        await task.cancelled.wait()
        answers_left[0] = answered

    stop = asyncio.Event()
    monkeypatch.setattr(broker.connection, "call", call_until_away)
    runner = Runner(broker, JobKind.STT, "w", slots=1, work=work, heartbeat_s=0.05)
    await broker.dispatch([submit("job_1", JobKind.STT)])
    running = asyncio.create_task(runner.run(stop))

    async def is_over() -> bool:
        if answers_left[0] < 0 and not runner.busy:
            answers_left[0] = 1 << 30  # it is back
        async with Redis.from_url(redis_url) as redis:
            return await redis.xlen(keys.job_stream(JobKind.STT)) == 0

    try:
        await until(is_over)
    finally:
        stop.set()
        await running
        await broker.close()


async def test_a_settled_record_job_leaves_no_key(broker: RedisBroker, redis_url: str) -> None:
    await broker.dispatch([submit("rec_1", JobKind.RECORD)])
    (claim,) = await broker.claim(JobKind.RECORD, "w", slots=1, wait_s=PATIENCE_S)
    await broker.release(claim)
    async with Redis.from_url(redis_url) as redis:
        assert [key async for key in redis.scan_iter()] == [keys.job_stream(JobKind.RECORD).encode()]
