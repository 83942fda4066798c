"""What every broker does, whatever it stands on: the same suite over memory, a real Valkey, and a real cluster."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import msgspec
import pytest
from tests.kit.memory_broker import MemoryBroker
from tests.kit.waiting import FACTOR, PATIENCE_S

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import JobFailed
from agentvoicebox.ports.broker import (
    AppendAudio,
    AppendLog,
    AudioEntry,
    Broker,
    Cancel,
    Claim,
    Job,
    JobKind,
    JobResult,
    ResultStream,
    SessionRef,
    Submit,
    Workload,
)

pytestmark = pytest.mark.requirement("A1.1", "A4.4-4.5")

CALL = SessionRef("acme", "sess_1")
OTHER_CALL = SessionRef("acme", "sess_2")
IDLE_S = 0.15


@pytest.fixture
def idle_s() -> float:
    """Silence after which a worker counts as dead."""
    return IDLE_S


@pytest.fixture(params=["memory", "redis_url", "cluster_url"], ids=["memory", "valkey", "cluster"])
async def broker(request: pytest.FixtureRequest, idle_s: float) -> AsyncIterator[Broker]:
    """A fresh broker of each kind."""
    made: Broker
    if request.param == "memory":
        made = MemoryBroker(reclaim_idle_s=idle_s)
    else:
        made = RedisBroker(request.getfixturevalue(request.param), reclaim_idle_s=idle_s)
    yield made
    await made.close()


def job(job_id: str = "job_1", kind: JobKind = JobKind.LLM, session: SessionRef = CALL) -> Job:
    return Job(job_id=job_id, kind=kind, session=session, payload=b"\x00ask\xff", submitted_s=0.0, correlation_id="ab")


async def test_workers_count_while_they_ask_for_work(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await broker.workers(JobKind.STT) == 0
    monkeypatch.setattr(
        "agentvoicebox.broker.keys.ALIVE_FOR_S", PATIENCE_S
    )  # a busy machine must not look like a dead worker
    await broker.claim(JobKind.STT, "w1", slots=1, wait_s=0)
    await broker.claim(JobKind.STT, "w2", slots=1, wait_s=0)
    assert (await broker.workers(JobKind.STT), await broker.workers(JobKind.TTS)) == (2, 0)
    await broker.release_consumer(JobKind.STT, "w1")
    assert await broker.workers(JobKind.STT) == 1
    monkeypatch.setattr("agentvoicebox.broker.keys.ALIVE_FOR_S", -1.0)  # each is silent for longer than that
    assert await broker.workers(JobKind.STT) == 0


async def test_jobs_are_counted_by_what_has_become_of_them(broker: Broker) -> None:
    assert set((await broker.workload()).values()) == {Workload()}
    await broker.dispatch([Submit(job(f"job_{number}")) for number in range(4)])
    first, *_ = await broker.claim(JobKind.LLM, "w1", slots=2, wait_s=PATIENCE_S)
    await broker.fail(first, code="broken", message="It is broken.")
    counted = await broker.workload()
    assert counted[JobKind.LLM] == Workload(waiting=2, running=1, dead=1)
    assert counted[JobKind.TTS] == Workload()


async def claim_one(broker: Broker, worker: str = "w1", kind: JobKind = JobKind.LLM) -> Claim:
    claims = await broker.claim(kind, worker, slots=1, wait_s=PATIENCE_S)
    assert len(claims) == 1
    return claims[0]


@asynccontextmanager
async def listening(broker: Broker, session: SessionRef = CALL) -> AsyncIterator[AsyncIterator[JobResult]]:
    results: ResultStream = await broker.results(session)
    iterator = aiter(results)
    try:
        yield iterator
    finally:
        await results.close()
        await iterator.aclose()  # type: ignore[attr-defined]


async def take(records: AsyncIterator[JobResult], count: int) -> list[JobResult]:
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(records) for _ in range(count)]


async def nothing_more(records: AsyncIterator[JobResult], broker: Broker, session: SessionRef = CALL) -> None:
    """A marker job's record is the next one: nothing came before it."""
    await broker.dispatch([Submit(job("marker", JobKind.TOOL, session))])
    claim = await claim_one(broker, "marker", JobKind.TOOL)
    await broker.publish(claim, b"marker", is_last=True)
    assert (await take(records, 1))[0].job_id == "marker"


async def test_a_job_reaches_one_worker_and_its_records_come_back_in_order(broker: Broker) -> None:
    async with listening(broker) as records:
        await broker.dispatch([Submit(job())])
        claim = await claim_one(broker)
        assert claim.job == job()
        assert (claim.attempt, claim.published) == (1, 0)
        for number in range(1, 30):
            assert await broker.publish(claim, b"%d" % number, is_last=number == 29)
        got = await take(records, 29)
        assert [record.sequence for record in got] == list(range(1, 30))
        assert [record.body for record in got] == [b"%d" % number for number in range(1, 30)]
        assert [record.is_last for record in got] == [False] * 28 + [True]
        assert await broker.claim(JobKind.LLM, "w2", slots=1, wait_s=IDLE_S * 2) == []


async def test_a_job_that_is_submitted_again_while_a_worker_has_it_is_not_handed_out_twice(broker: Broker) -> None:
    async with listening(broker) as records:
        await broker.dispatch([Submit(job())])
        claim = await claim_one(broker)
        await broker.dispatch([Submit(job())])
        assert await broker.claim(JobKind.LLM, "w2", slots=1, wait_s=IDLE_S / 4) == []
        assert await broker.publish(claim, b"done", is_last=True)
        assert [record.body for record in await take(records, 1)] == [b"done"]


async def test_audio_travels_as_raw_bytes(broker: Broker) -> None:
    pcm = bytes(range(256)) * 20
    async with listening(broker) as records:
        await broker.dispatch([Submit(job(kind=JobKind.TTS))])
        claim = await claim_one(broker, kind=JobKind.TTS)
        await broker.publish(claim, b"spoken", audio=pcm)
        await broker.publish(claim, b"done", is_last=True)
        first, last = await take(records, 2)
        assert (first.audio, first.body, first.kind) == (pcm, b"spoken", JobKind.TTS)
        assert last.audio == b""


async def test_a_worker_gets_no_more_jobs_than_it_has_slots(broker: Broker) -> None:
    await broker.dispatch([Submit(job(f"job_{number}")) for number in range(5)])
    first = await broker.claim(JobKind.LLM, "w1", slots=3, wait_s=PATIENCE_S)
    second = await broker.claim(JobKind.LLM, "w2", slots=3, wait_s=PATIENCE_S)
    assert [claim.job.job_id for claim in first] == ["job_0", "job_1", "job_2"]
    assert [claim.job.job_id for claim in second] == ["job_3", "job_4"]


async def test_a_waiting_worker_is_woken_by_a_new_job(broker: Broker) -> None:
    waiting = asyncio.create_task(claim_one(broker))
    await asyncio.sleep(0)
    await broker.dispatch([Submit(job())])
    assert (await waiting).job.job_id == "job_1"


async def test_kinds_and_sessions_do_not_mix(broker: Broker) -> None:
    async with listening(broker) as ours, listening(broker, OTHER_CALL) as theirs:
        await broker.dispatch([Submit(job("ours")), Submit(job("theirs", session=OTHER_CALL))])
        for claim in await broker.claim(JobKind.LLM, "w1", slots=2, wait_s=PATIENCE_S):
            await broker.publish(claim, claim.job.job_id.encode(), is_last=True)
        assert [record.body for record in await take(ours, 1)] == [b"ours"]
        assert [record.body for record in await take(theirs, 1)] == [b"theirs"]
        assert await broker.claim(JobKind.TTS, "w1", slots=1, wait_s=0) == []


async def test_a_job_of_a_silent_worker_goes_to_another_that_sees_what_was_published(broker: Broker) -> None:
    async with listening(broker) as records:
        await broker.dispatch([Submit(job(kind=JobKind.TTS))])
        lost = await claim_one(broker, "dead", JobKind.TTS)
        await broker.publish(lost, b"one", audio=b"\x01\x02")
        await broker.publish(lost, b"two", audio=b"\x03\x04")
        claim = await claim_one(broker, "alive", JobKind.TTS)
        assert (claim.job.job_id, claim.attempt, claim.published) == ("job_1", 2, 2)
        earlier = await broker.published(claim)
        assert [(record.sequence, record.body, record.audio) for record in earlier] == [
            (1, b"one", b"\x01\x02"),
            (2, b"two", b"\x03\x04"),
        ]
        assert await broker.publish(claim, b"three", is_last=True)
        got = await take(records, 3)
        assert [(record.sequence, record.attempt) for record in got] == [(1, 1), (2, 1), (3, 2)]


async def test_a_zombie_publishes_nothing_once_its_job_is_taken_over(broker: Broker) -> None:
    async with listening(broker) as records:
        await broker.dispatch([Submit(job())])
        zombie = await claim_one(broker, "zombie")
        claim = await claim_one(broker, "alive")
        assert not await broker.publish(zombie, b"late")
        assert not await broker.publish(zombie, b"late", is_last=True)
        assert await broker.publish(claim, b"true", is_last=True)
        assert not await broker.publish(zombie, b"later")
        assert [record.body for record in await take(records, 1)] == [b"true"]
        await nothing_more(records, broker)


@pytest.mark.parametrize("idle_s", [1.0 * FACTOR], ids=[""])  # long enough for a heartbeat on a busy machine
async def test_a_heartbeat_keeps_a_job_in_hand(broker: Broker, idle_s: float) -> None:
    await broker.dispatch([Submit(job())])
    claim = await claim_one(broker, "slow")
    loop = asyncio.get_running_loop()
    until_s = loop.time() + idle_s * 2
    while loop.time() < until_s:
        await broker.renew_lease(JobKind.LLM, "slow", [claim])
        assert await broker.claim(JobKind.LLM, "eager", slots=1, wait_s=idle_s / 10) == []
    assert await broker.publish(claim, b"done", is_last=True)


async def test_the_heartbeat_of_a_zombie_takes_nothing_back(broker: Broker) -> None:
    await broker.dispatch([Submit(job())])
    zombie = await claim_one(broker, "zombie")
    await claim_one(broker, "alive")
    loop = asyncio.get_running_loop()
    until_s = loop.time() + PATIENCE_S
    third: list[Claim] = []
    while not third and loop.time() < until_s:  # "alive" dies, too; the zombie's beats must not hide it
        await broker.renew_lease(JobKind.LLM, "zombie", [zombie])
        third = await broker.claim(JobKind.LLM, "third", slots=1, wait_s=IDLE_S / 4)
    assert [claim.attempt for claim in third] == [3]


async def test_a_job_handed_back_is_taken_at_once(broker: Broker) -> None:
    await broker.dispatch([Submit(job())])
    await broker.hand_back(await claim_one(broker, "w1"))
    claims = await broker.claim(JobKind.LLM, "w2", slots=1, wait_s=0)
    assert [claim.attempt for claim in claims] == [2]


async def test_what_a_buried_worker_held_is_taken_at_once(broker: Broker) -> None:
    await broker.dispatch([Submit(job("job_1")), Submit(job("job_2"))])
    await broker.claim(JobKind.LLM, "dead", slots=2, wait_s=PATIENCE_S)
    await broker.release_consumer(JobKind.LLM, "dead")
    await broker.release_consumer(JobKind.LLM, "never lived")
    claims = await broker.claim(JobKind.LLM, "alive", slots=2, wait_s=0)
    assert sorted((claim.job.job_id, claim.attempt) for claim in claims) == [("job_1", 2), ("job_2", 2)]


@pytest.mark.requirement("A6")
async def test_a_job_that_three_workers_lost_is_dead_and_the_session_is_told(broker: Broker) -> None:
    async with listening(broker) as records:
        await broker.dispatch([Submit(job())])
        for attempt in (1, 2, 3):
            claim = await claim_one(broker, f"w{attempt}")
            assert claim.attempt == attempt
            await broker.hand_back(claim)
        assert await broker.claim(JobKind.LLM, "w4", slots=1, wait_s=0) == []
        (record,) = await take(records, 1)
        assert record.is_last
        failed = msgspec.msgpack.decode(record.body, type=JobFailed)
        assert (failed.job_id, failed.code) == ("job_1", "worker_lost")
        assert await broker.claim(JobKind.LLM, "w5", slots=1, wait_s=IDLE_S * 2) == []


async def test_a_record_job_is_handed_out_far_more_often_but_not_for_ever(broker: Broker) -> None:
    await broker.dispatch([Submit(job(kind=JobKind.RECORD))])
    for attempt in range(1, keys.MAX_RECORD_ATTEMPTS + 1):
        claim = await claim_one(broker, kind=JobKind.RECORD)
        assert claim.attempt == attempt
        await broker.hand_back(claim)
    assert await broker.claim(JobKind.RECORD, "last", slots=1, wait_s=IDLE_S * 2) == []


async def test_a_failed_job_tells_its_session_why(broker: Broker) -> None:
    async with listening(broker) as records:
        await broker.dispatch([Submit(job())])
        await broker.fail(await claim_one(broker), code="bad_provider_answer", message="no sense")
        (record,) = await take(records, 1)
        assert msgspec.msgpack.decode(record.body, type=JobFailed).code == "bad_provider_answer"
        assert record.is_last
        assert await broker.claim(JobKind.LLM, "w2", slots=1, wait_s=IDLE_S * 2) == []


async def test_a_cancelled_job_is_announced_and_publishes_no_more(broker: Broker) -> None:
    async with listening(broker) as records, aclosing(broker.cancellations(JobKind.LLM)) as cancelled:  # type: ignore[type-var]
        hearing = asyncio.ensure_future(anext(cancelled))
        await broker.dispatch([Submit(job())])
        claim = await claim_one(broker)
        assert not await broker.is_cancelled(claim)
        await broker.publish(claim, b"before")
        async with asyncio.timeout(PATIENCE_S):
            while not hearing.done():  # the listener may still be subscribing; a repeated cancel is the same cancel
                await broker.dispatch([Cancel("job_1", JobKind.LLM, CALL)])
                await asyncio.wait({hearing}, timeout=0.05)
        assert hearing.result() == "job_1"
        assert await broker.is_cancelled(claim)
        assert not await broker.publish(claim, b"after", is_last=True)
        await broker.release(claim)
        assert [record.body for record in await take(records, 1)] == [b"before"]
        await nothing_more(records, broker)
    assert await broker.claim(JobKind.LLM, "w2", slots=1, wait_s=IDLE_S * 2) == []


async def test_a_job_cancelled_before_it_is_claimed_reaches_no_worker(broker: Broker) -> None:
    await broker.dispatch([Submit(job("gone")), Submit(job("stays")), Cancel("gone", JobKind.LLM, CALL)])
    claims = await broker.claim(JobKind.LLM, "w1", slots=2, wait_s=PATIENCE_S)
    assert [claim.job.job_id for claim in claims] == ["stays"]


async def test_records_published_before_anyone_listens_are_read_from_the_stream(broker: Broker) -> None:
    await broker.dispatch([Submit(job()), Submit(job("speech", JobKind.TTS))])
    text, speech = await claim_one(broker), await claim_one(broker, kind=JobKind.TTS)
    await broker.publish(text, b"t1")
    await broker.publish(speech, b"s1", audio=b"\0\0")
    async with listening(broker) as records:
        await broker.publish(text, b"t2", is_last=True)
        await broker.publish(speech, b"s2", is_last=True)
        got = await take(records, 4)
        assert [record.body for record in got if record.kind is JobKind.LLM] == [b"t1", b"t2"]
        assert [record.body for record in got if record.kind is JobKind.TTS] == [b"s1", b"s2"]
        await nothing_more(records, broker)


async def test_a_slow_consumer_gets_every_record_once(broker: Broker) -> None:
    async with listening(broker) as records:
        await broker.dispatch([Submit(job())])
        claim = await claim_one(broker)
        first = asyncio.ensure_future(anext(records))
        for _ in range(10):  # time enough for the reader to find the streams empty, so that it lives by announcements
            await broker.queue_age_s(JobKind.LLM)
        for number in range(700):
            await broker.publish(claim, b"%d" % number)
        for _ in range(10):  # and for the last announcement to arrive, so that no later one shows what is missing
            await broker.queue_age_s(JobKind.LLM)
        got = [await first, *await take(records, 699)]
        assert [record.body for record in got] == [b"%d" % number for number in range(700)]
        await nothing_more(records, broker)


async def test_an_utterance_is_read_from_its_start_as_it_grows_and_ends_at_the_end_mark(broker: Broker) -> None:
    def frame(number: int) -> AudioEntry:
        return AudioEntry("audio", number * 320, bytes([number]) * 640)

    def append(*entries: AudioEntry) -> list[AppendAudio]:
        return [AppendAudio(CALL, "job_1", entry) for entry in entries]

    end = AudioEntry("end", 2 * 320, end_sample=3 * 320)
    await broker.dispatch([Submit(job(kind=JobKind.STT)), *append(frame(0), frame(1))])
    claim = await claim_one(broker, kind=JobKind.STT)
    async with asyncio.timeout(PATIENCE_S), aclosing(broker.utterance(claim)) as entries:  # type: ignore[type-var]
        assert [await anext(entries), await anext(entries)] == [frame(0), frame(1)]
        probe = AudioEntry("probe", 2 * 320)
        await broker.dispatch(append(probe, frame(2)))
        assert [await anext(entries), await anext(entries)] == [probe, frame(2)]
        await broker.dispatch(append(end))
        assert [entry async for entry in entries] == [end]
    # Another worker starts over from the first entry.
    async with asyncio.timeout(PATIENCE_S):
        assert len([entry async for entry in broker.utterance(claim)]) == 5


async def test_many_utterances_are_read_at_once(broker: Broker) -> None:
    ids = [f"job_{number}" for number in range(60)]
    await broker.dispatch([Submit(job(job_id, JobKind.STT)) for job_id in ids])
    claims = await broker.claim(JobKind.STT, "w1", slots=60, wait_s=PATIENCE_S)

    async def hear(claim: Claim) -> bytes:
        return b"".join([entry.pcm async for entry in broker.utterance(claim)])

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        heard = [group.create_task(hear(claim)) for claim in claims]
        for turn in range(3):
            pcm = bytes([turn]) * 640
            await broker.dispatch([AppendAudio(CALL, job_id, AudioEntry("audio", turn * 320, pcm)) for job_id in ids])
        await broker.dispatch([AppendAudio(CALL, job_id, AudioEntry("end", 960)) for job_id in ids])
    assert {task.result() for task in heard} == {bytes(640) + b"\1" * 640 + b"\2" * 640}


async def test_the_queue_age_is_that_of_the_oldest_unclaimed_job(broker: Broker) -> None:
    assert await broker.queue_age_s(JobKind.LLM) == 0.0
    await broker.dispatch([Submit(job())])
    async with asyncio.timeout(PATIENCE_S):
        while await broker.queue_age_s(JobKind.LLM) <= 0.0:
            await broker.claim(JobKind.TTS, "idle", slots=1, wait_s=0.005)
    await claim_one(broker)
    assert await broker.queue_age_s(JobKind.LLM) == 0.0


async def test_a_forgotten_session_leaves_nothing_and_its_workers_stop(broker: Broker) -> None:
    await broker.dispatch(
        [
            Submit(job()),
            Submit(job("waiting")),
            AppendAudio(CALL, "job_1", AudioEntry("audio", 0, b"\0\0")),
            AppendLog(CALL, b"input"),
        ]
    )
    claim = await claim_one(broker)
    await broker.publish(claim, b"x")
    await broker.forget(CALL)
    await broker.forget(CALL)
    assert await broker.is_cancelled(claim)
    assert not await broker.publish(claim, b"late")
    assert await broker.published(claim) == []
    assert await broker.claim(JobKind.LLM, "w2", slots=1, wait_s=0) == []  # what waited is dropped


async def test_a_record_job_outlives_its_session(broker: Broker) -> None:
    await broker.dispatch([Submit(job(kind=JobKind.RECORD))])
    await broker.forget(CALL)
    claim = await claim_one(broker, kind=JobKind.RECORD)
    await broker.forget(CALL)
    assert not await broker.is_cancelled(claim)
    await broker.release(claim)
    assert await broker.claim(JobKind.RECORD, "w2", slots=1, wait_s=IDLE_S * 2) == []


def sized(number: int, payload_bytes: int) -> Submit:
    return Submit(Job(f"rec_{number}", JobKind.RECORD, CALL, b"x" * payload_bytes, 0.0))


async def test_a_claim_ends_with_the_job_that_crosses_its_bytes_and_an_oversized_one_comes_alone(
    broker: Broker,
) -> None:
    await broker.dispatch([sized(number, 1_000) for number in range(9)] + [sized(9, 90_000), sized(10, 10)])
    found = []
    while claims := await broker.claim(JobKind.RECORD, "w1", slots=64, wait_s=0, most_bytes=3_000):
        found.append([claim.job.job_id for claim in claims])
        for claim in claims:
            await broker.release(claim)
    assert [job_id for each in found for job_id in each] == [f"rec_{number}" for number in range(11)]
    assert max(map(len, found)) <= 3 and found[-1] == ["rec_10"]


async def test_what_a_dead_worker_held_is_taken_over_by_bytes_as_well(broker: Broker, idle_s: float) -> None:
    await broker.dispatch([sized(number, 1_000) for number in range(9)])
    assert len(await broker.claim(JobKind.RECORD, "dead", slots=64, wait_s=0)) == 9
    taken: set[str] = set()
    async with asyncio.timeout(PATIENCE_S):
        while len(taken) < 9:
            claims = await broker.claim(JobKind.RECORD, "w1", slots=64, wait_s=idle_s, most_bytes=3_000)
            assert len(claims) <= 3
            taken |= {claim.job.job_id for claim in claims}
            for claim in claims:
                await broker.release(claim)
