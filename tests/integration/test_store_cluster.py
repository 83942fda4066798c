"""What only a cluster has: nodes that die alone, slots that move, jobs and their sessions on different nodes; and a call over it.

That everything a single server does is done by a cluster, too, is shown by the suites that run over both (`store_url`).
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.kit.client import calling, until
from tests.kit.gateway import Gateway, Workers, gateway, says
from tests.kit.resuming_client import audio_of, ids_of, reconnected, return_query
from tests.kit.store import ValkeyCluster, ValkeyNode, looking_into
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker import keys
from agentvoicebox.broker.dispatcher import Dispatcher
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import AppendLog, Job, JobKind, JobResult, SessionRef, Submit
from agentvoicebox.sessions.directory import SessionDirectory

CALL = SessionRef("acme", "sess_1")


@pytest.fixture
def redis_url(cluster_url: str) -> str:
    """Every fixture that asks for a Valkey gets the cluster here."""
    return cluster_url


@pytest.fixture
async def broker(cluster_url: str) -> AsyncIterator[RedisBroker]:
    made = RedisBroker(cluster_url)
    yield made
    await made.close()


@pytest.fixture
async def own_cluster(tmp_path: Path) -> AsyncIterator[ValkeyCluster]:
    """A cluster for a test that harms it."""
    made = ValkeyCluster(tmp_path)
    await made.start()
    yield made
    await made.stop()


def job(job_id: str, kind: JobKind = JobKind.TTS, session: SessionRef = CALL) -> Job:
    return Job(job_id, kind, session, b"", 0.0)


async def test_a_spoken_call_goes_on_at_another_gateway_over_the_cluster(
    served: Gateway, workers: Workers, cluster_url: str
) -> None:
    workers.writes, workers.chunks, workers.pace_s, workers.is_distinct = says("One. Two. Three."), 20, 0.01, True
    broker = RedisBroker(cluster_url)
    async with gateway(broker) as other:
        async with calling(served.url("model=delivery&resume=1")) as client:
            await client.use(audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}})
            await client.speak()
            for _ in range(5):
                await client.until("response.output_audio.delta")
            client.ws.transport.abort()
        async with reconnected(other.url(return_query(client)), client) as client:
            assert (await client.next())["is_complete"]
            await client.until("response.done")
            assert len(ids_of(client)) == len(set(ids_of(client)))
            assert audio_of(client) == b"".join(itertools.chain(*workers.spoken.values()))
    await broker.close()


async def test_all_a_session_has_lies_in_one_slot(broker: RedisBroker, cluster_url: str) -> None:
    sessions = [SessionRef(f"tenant_{number}", f"sess_{number}") for number in range(20)]
    directory = SessionDirectory(broker.connection, broker.subscriber)
    for session in sessions:
        await directory.open(session, {})
        actions = [Submit(job("job_1", kind, session)) for kind in JobKind]
        await broker.dispatch([AppendLog(session, b"x"), *actions])
    with looking_into(cluster_url) as store:
        found = [key for key in store.scan_iter() if "/" in key]
        slots = {key: store.execute_command("CLUSTER KEYSLOT", key) for key in found}  # type: ignore[no-untyped-call]
        for session in sessions:
            assert len({slot for key, slot in slots.items() if keys.tag(session) in key}) == 1
        assert len(found) >= 5 * len(sessions) and len(set(slots.values())) > 15
        await broker.forget(sessions[0])
        await directory.close(sessions[0])


async def test_a_job_that_was_fenced_and_never_fed_is_handed_out_by_whoever_goes_on(
    broker: RedisBroker, cluster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise BrokerLost("the gateway died here")

    with monkeypatch.context() as dying:
        dying.setattr(Dispatcher, "_enqueue", die)
        with pytest.raises(BrokerLost):
            await broker.dispatch([AppendLog(CALL, b"asks"), Submit(job("job_1"))])
    assert await broker.claim(JobKind.TTS, "w", slots=1, wait_s=0.05) == []
    assert await broker.attempts(CALL, {"job_1": JobKind.TTS}) == {"job_1": 0}
    await broker.dispatch([Submit(job("job_1"))])
    (claim,) = await broker.claim(JobKind.TTS, "w", slots=1, wait_s=PATIENCE_S)
    assert (claim.job.job_id, claim.attempt) == ("job_1", 1)


async def test_a_job_that_was_fed_twice_runs_once(broker: RedisBroker) -> None:
    for _ in range(3):  # the answer to the first was lost with its connection
        await broker.dispatch([Submit(job("job_1", JobKind.STT))])
    claims = await broker.claim(JobKind.STT, "w1", slots=8, wait_s=PATIENCE_S)
    assert [claim.attempt for claim in claims] == [1]
    assert await broker.claim(JobKind.STT, "w2", slots=8, wait_s=0.05) == []
    await broker.hand_back(claims[0])
    (claim,) = await broker.claim(JobKind.STT, "w2", slots=8, wait_s=PATIENCE_S)
    assert claim.attempt == 2 and await broker.publish(claim, b"heard", is_last=True)
    await broker.dispatch([Submit(job("job_1", JobKind.STT))])
    assert await broker.claim(JobKind.STT, "w3", slots=8, wait_s=0.05) == []
    assert await broker.connection.commands.xlen(keys.job_stream(JobKind.STT)) == 0


async def has_said(broker: RedisBroker, count: int) -> bool:
    return int(await broker.connection.commands.xlen(keys.audio_out(CALL))) >= count


async def speak(broker: RedisBroker, count: int) -> None:
    (claim,) = await broker.claim(JobKind.TTS, "w", slots=1, wait_s=PATIENCE_S)
    for number in range(1, count + 1):
        assert await broker.publish(claim, b"%d" % number, is_last=number == count)
        await asyncio.sleep(0.01)


async def hear(broker: RedisBroker, count: int) -> list[JobResult]:
    results = await broker.results(CALL)
    records = aiter(results)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return [await anext(records) for _ in range(count)]
    finally:
        await results.close()
        await records.aclose()  # type: ignore[attr-defined]


async def test_records_go_on_in_order_and_once_when_their_node_is_killed(own_cluster: ValkeyCluster) -> None:
    gateway_side, worker_side = (RedisBroker(own_cluster.url, retry_for_s=PATIENCE_S) for _ in range(2))
    count = 60
    try:
        hearing = asyncio.create_task(hear(gateway_side, count))
        await gateway_side.dispatch([Submit(job("job_1"))])
        speaking = asyncio.create_task(speak(worker_side, count))
        await until(lambda: has_said(gateway_side, 10))
        victim = own_cluster.nodes[own_cluster.owner_of(keys.audio_out(CALL))]
        await victim.kill()
        await victim.start()
        got = await hearing
        await speaking
        assert [record.body for record in got] == [b"%d" % number for number in range(1, count + 1)]
        await gateway_side.dispatch([Submit(job("job_2"))])
        (claim,) = await worker_side.claim(JobKind.TTS, "w", slots=1, wait_s=PATIENCE_S)
        assert claim.job.job_id == "job_2"
    finally:
        for each in (gateway_side, worker_side):
            await each.close()


async def test_a_session_whose_slot_moves_is_heard_from_its_new_node(own_cluster: ValkeyCluster) -> None:
    gateway_side, worker_side = (RedisBroker(own_cluster.url, retry_for_s=PATIENCE_S) for _ in range(2))
    count = 80
    try:
        hearing = asyncio.create_task(hear(gateway_side, count))
        await gateway_side.dispatch([Submit(job("job_1"))])
        speaking = asyncio.create_task(speak(worker_side, count))
        await until(lambda: has_said(gateway_side, 10))
        source = own_cluster.owner_of(keys.audio_out(CALL))
        await asyncio.to_thread(own_cluster.move, own_cluster.slot_of(keys.audio_out(CALL)), (source + 1) % 3)
        got = await hearing
        await speaking
        assert [record.body for record in got] == [b"%d" % number for number in range(1, count + 1)]
    finally:
        for each in (gateway_side, worker_side):
            await each.close()


async def test_a_url_of_the_wrong_kind_says_what_to_write(cluster_url: str) -> None:
    node = "redis://" + cluster_url.partition("://")[2].partition(",")[0]
    plain = RedisBroker(node, retry_for_s=1.0)
    with pytest.raises(BrokerLost, match=r"redis\+cluster://"):
        for number in range(20):  # some of these slots are another node's
            await plain.dispatch([Submit(job("job_1", session=SessionRef("acme", f"sess_{number}")))])
    await plain.close()


async def test_a_single_server_is_not_taken_for_a_cluster(tmp_path: Path) -> None:
    server = ValkeyNode(tmp_path)
    await server.start()
    broker = RedisBroker(server.url.replace("redis://", "redis+cluster://").removesuffix("/0"), retry_for_s=PATIENCE_S)
    with pytest.raises(BrokerLost, match="no cluster"):
        await broker.dispatch([Submit(job("job_1"))])
    await broker.close()
    await server.kill()
