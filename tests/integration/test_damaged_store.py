"""Damaged records in a real store, under open calls: what reads one drops it, tells once, and goes on; so do all others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from tests.kit.client import SERVER_VAD, Client, calling, until
from tests.kit.gateway import Gateway, Workers, silence, tone
from tests.kit.resuming_client import reconnected, refusal, return_query, session_id

from agentvoicebox.broker import keys
from agentvoicebox.broker.envelope import pack_job, pack_result
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_health import StoreHealthMonitor
from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.effects import Persist
from agentvoicebox.errors import BadCredentials
from agentvoicebox.ports.broker import Job, JobKind, JobResult, SessionRef, Submit
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.janitor import Janitor
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.records import RecordBatch
from agentvoicebox.storage.rules import RetentionRules, RuleBook
from agentvoicebox.storage.tail import Tail
from agentvoicebox.tenancy.client_secrets import ClientSecrets
from agentvoicebox.tenancy.principal import Principal
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Runner

KINDS = (JobKind.STT, JobKind.LLM, JobKind.TTS, JobKind.TOOL)
OTHER = SessionRef("default", "sess_other")
T0 = 1_800_000_000.0


async def assert_speaks(client: Client) -> None:
    """A spoken turn has its whole answer: recognition, language model and synthesis work."""
    await client.speak()
    assert (await client.until("response.done"))["response"]["status"] == "completed"


async def assert_writes(client: Client) -> None:
    """A written turn has its answer."""
    await client.send("response.create", response={"output_modalities": ["text"]})
    assert (await client.until("response.done"))["response"]["status"] == "completed"


def of(client: Client) -> SessionRef:
    return SessionRef("default", session_id(client))


def job(kind: JobKind, job_id: str, session: SessionRef = OTHER, payload: bytes = b"\xc1") -> bytes:
    return pack_job(Job(job_id, kind, session, payload, T0))


async def damage_jobs(store: Any, kind: JobKind) -> int:
    """Put damaged jobs of a kind before its workers; how many."""
    other = JobKind.LLM if kind is not JobKind.LLM else JobKind.TTS
    fields: list[dict[bytes, bytes]] = [
        {b"x": b"no job"},
        {b"j": b""},
        {b"j": job(kind, "job_torn")[:-9][:20]},
        {b"j": job(kind, "job_text").replace(b"job_text", b"\xff" * 8)},
        {b"j": job(kind, "job_ids", SessionRef("a{b", "c/d"))},
        {b"j": job(other, "job_kind")},
    ]
    for number, (name, value) in enumerate((("attempt", "x"), ("sequence", "1.5"), ("attempt", ""))):
        await store.hset(keys.job(kind, OTHER, f"job_fence{number}"), mapping={"attempt": 0, name: value})
        fields.append({b"j": job(kind, f"job_fence{number}")})
    await store.set(keys.job(kind, OTHER, "job_wrong_type"), "no hash", ex=60)
    fields.append({b"j": job(kind, "job_wrong_type")})
    for each in fields:
        await store.xadd(keys.job_stream(kind), each)
    for number in range(3):
        await store.expire(keys.job(kind, OTHER, f"job_fence{number}"), 60)
    return len(fields)


async def test_damaged_jobs_become_dead_letters_while_calls_go_on(served: Gateway, redis_broker: RedisBroker) -> None:
    store: Any = redis_broker.connection.commands
    async with calling(served.url()) as client:
        await client.use(audio=SERVER_VAD)
        await assert_speaks(client)
        damaged = {kind: await damage_jobs(store, kind) for kind in KINDS}
        await assert_speaks(client)
        await assert_writes(client)

        async def are_dead() -> bool:
            return {kind: await store.xlen(keys.dead_stream(kind)) for kind in KINDS} == damaged

        await until(are_dead)
        assert {kind: await store.xlen(keys.job_stream(kind)) for kind in KINDS} == dict.fromkeys(KINDS, 0)


async def test_a_job_whose_request_is_damaged_fails_alone(served: Gateway, redis_broker: RedisBroker) -> None:
    store: Any = redis_broker.connection.commands
    async with calling(served.url()) as client:
        await redis_broker.dispatch([Submit(Job("job_1", JobKind.LLM, OTHER, b"\x91\xa1\xff", T0))])
        await assert_writes(client)

        async def is_dead() -> bool:
            return bool(await store.xlen(keys.dead_stream(JobKind.LLM)))

        await until(is_dead)


async def test_damaged_results_are_skipped_and_the_answer_is_whole(
    served: Gateway, workers: Workers, redis_broker: RedisBroker
) -> None:
    store: Any = redis_broker.connection.commands
    workers.chunks, workers.pace_s = 20, 0.01
    async with calling(served.url()) as client, calling(served.url()) as neighbour:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        session = of(client)
        stranger = pack_result(JobResult("job_x", JobKind.TTS, 1, 1, b"\xc1", b"\0"))
        for stream in (keys.results(session), keys.audio_out(session)):
            for fields in ({"x": "y"}, {"r": b""}, {"r": b"\0\0\0\1" + stranger}, {"r": b"\0\0\0\1" + stranger[:-7]}):
                await store.xadd(stream, fields)
        for channel in keys.channels(session):
            for payload in (b"", b"\xff", b"\x03abc", b"\x031-1" + b"\0" * 9):
                await store.execute_command("SPUBLISH", channel, payload)
        assert (await client.until("response.done"))["response"]["status"] == "completed"
        whole = b"".join(workers.spoken[next(reversed(workers.spoken))])
        assert sum(len(event["delta"]) for event in client.of("response.output_audio.delta")) * 3 // 4 >= len(whole)
        await assert_writes(client)
        await assert_writes(neighbour)


async def test_damaged_audio_fails_its_utterance_alone(
    served: Gateway, workers: Workers, redis_broker: RedisBroker
) -> None:
    store: Any = redis_broker.connection.commands
    async with calling(served.url()) as client, calling(served.url()) as neighbour:
        for each in (client, neighbour):
            detection = {**SERVER_VAD["input"]["turn_detection"], "create_response": False}
            await each.use(audio={"input": {"turn_detection": detection, "transcription": {"model": "default"}}})
            await each.append(tone(600))
            await each.until("input_audio_buffer.speech_started")
        await workers.wait_for(JobKind.STT, 2)
        (stream,) = [key async for key in store.scan_iter(f"avb:audio:in:{keys.tag(of(client))}:*")]
        await store.xadd(stream, {"x": "no audio"})
        for each in (client, neighbour):
            await each.append(silence(700))
        await neighbour.until("conversation.item.input_audio_transcription.completed")
        await client.until("conversation.item.input_audio_transcription.failed")
        await client.send("response.create", response={"output_modalities": ["text"]})
        assert (await client.until("response.done"))["response"]["status"] == "failed"  # it asks to say it again
        await assert_writes(client)


Damage = Callable[[Any, SessionRef], Awaitable[object]]
DAMAGES: dict[str, Damage] = {
    "state": lambda store, session: store.hset(keys.snapshot(session), mapping={"state": b"\x81\xa1", "through": 1}),
    "text": lambda store, session: store.hset(keys.snapshot(session), mapping={"state": b"\x81\xa1\xff\x01"}),
    "through": lambda store, session: store.hset(keys.snapshot(session), mapping={"through": "x"}),
    "ledger": lambda store, session: store.hset(keys.snapshot(session), mapping={"ledger": b"\xc1"}),
    "entry": lambda store, session: store.xadd(keys.log(session), {"e": b"\xc1", "n": b"12345678x"}),
    "fields": lambda store, session: store.xadd(keys.log(session), {"x": b"y"}),
    "no log": lambda store, session: store.delete(keys.log(session)),
}


@pytest.mark.parametrize("what", DAMAGES)
async def test_a_session_whose_log_is_damaged_is_gone_and_others_resume(
    served: Gateway, redis_broker: RedisBroker, what: str
) -> None:
    store: Any = redis_broker.connection.commands
    starts = served.url("model=delivery&resume=1")
    async with calling(starts) as client, calling(starts) as neighbour:
        await assert_writes(client)
        await assert_writes(neighbour)
        for each in (client, neighbour):
            each.ws.transport.abort()
        await DAMAGES[what](store, of(client))
        await store.expire(keys.snapshot(of(client)), 60)
    error, code, reason = await refusal(served.url(return_query(client)))
    assert (error["code"], code) == ("session_not_found", 4000), (error, reason)
    async with reconnected(served.url(return_query(neighbour)), neighbour) as neighbour:
        assert (await neighbour.next())["type"] == "agentvoicebox.resumed"
        await assert_writes(neighbour)


async def test_a_damaged_result_of_earlier_does_not_keep_a_session_from_resuming(
    served: Gateway, redis_broker: RedisBroker
) -> None:
    store: Any = redis_broker.connection.commands
    async with calling(served.url("model=delivery&resume=1")) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        client.ws.transport.abort()
        await store.xadd(keys.audio_out(of(client)), {"r": b"\0\0"})
    async with reconnected(served.url(return_query(client)), client) as client:
        assert (await client.next())["type"] == "agentvoicebox.resumed"
        await client.until("response.done")


async def test_damaged_entries_of_the_directory_are_removed_and_the_others_swept(
    redis_broker: RedisBroker, manual_clock: ManualClock
) -> None:
    store: Any = redis_broker.connection.commands
    directory = SessionDirectory(redis_broker.connection, redis_broker.subscriber, clock=manual_clock)
    await directory.open(OTHER, {"gateway": "g1"})
    await store.hset(keys.session_hash(OTHER), mapping={"format": "one", "gateway": b"\xff"})
    await store.zadd(keys.LIVE_SESSIONS, {b"default": 1, b"\xff/x": 2, b"a{b/c": 3, b"a/b/c": 4})
    manual_clock.advance(keys.SESSION_TTL_S + keys.SESSION_HEARTBEAT_S + 1)
    assert await Janitor(directory, redis_broker).sweep() == 1
    assert await store.zcard(keys.LIVE_SESSIONS) == 0
    assert await directory.live() == []


def batch(number: int, payload: bytes, submitted_s: float = T0) -> Submit:
    session = SessionRef("acme", "sess_1")
    return Submit(Job(f"rec_{number}", JobKind.RECORD, session, payload, submitted_s + number))


def records(*records: Persist) -> bytes:
    return msgspec.msgpack.encode(RecordBatch("acme", "sess_1", "", records))


async def test_damaged_batches_are_dead_letters_and_the_others_are_recorded(
    redis_broker: RedisBroker, postgres: Postgres
) -> None:
    store: Any = redis_broker.connection.commands
    usage = [records(Persist("resp_1", "response", {"usage": each})) for each in ("many", {"input_tokens": "x"})]
    good = [batch(number, records(Persist(f"item_{number}", "item", {"id": "x"}))) for number in (0, 9)]
    damaged = [
        batch(1, b"\x91\xa1\xff"),
        batch(2, records(Persist("item_2", "item", {})), float("nan")),
        batch(3, records(Persist("item_3", "item", {})), float("inf")),
        batch(4, records(Persist("item_4", "item", {})), 1e300),
        *(batch(5 + number, each) for number, each in enumerate(usage)),
        batch(8, records(Persist("item\0", "item", {"id": "\0"}))),
    ]
    tail = Tail(redis_broker.connection, RuleBook(postgres, RetentionRules()))
    await redis_broker.dispatch([good[0], *damaged, good[1]])
    assert {"item_0", "item_9"} <= (await tail.of("acme", "sess_1")).keys()

    stop = asyncio.Event()
    work = RecorderWork(Conversations(postgres), redis_broker, backoff=Backoff(first_s=0.01, longest_s=0.05, tries=99))
    running = asyncio.create_task(
        Runner(redis_broker, JobKind.RECORD, "w1", slots=64, work=work, drain_s=0.1).run(stop)
    )

    async def is_empty() -> bool:
        return int(await store.xlen(keys.job_stream(JobKind.RECORD))) == 0

    await until(is_empty)
    stop.set()
    await running
    await work.close()
    page = await History(postgres).items("acme", "sess_1", order="asc")
    assert page is not None and [each.item_id for each in page.records] == ["item_0", "item_9"]
    assert await store.xlen(keys.dead_stream(JobKind.RECORD)) == len(damaged)


async def test_a_damaged_report_of_a_worker_leaves_the_health_check_running(redis_broker: RedisBroker) -> None:
    store: Any = redis_broker.connection.commands
    await redis_broker.claim(JobKind.TTS, "w1", slots=1, wait_s=0)
    await store.xgroup_createconsumer(keys.job_stream(JobKind.TTS), keys.group(JobKind.TTS), b"w\xff")
    await store.hset(keys.unhealthy(JobKind.TTS), mapping={b"\xff": b"\xff", "w1": "piper"})
    await store.expire(keys.unhealthy(JobKind.TTS), 60)
    await store.set(keys.unhealthy(JobKind.LLM), "no hash", ex=60)
    health = await StoreHealthMonitor(redis_broker.connection).read()
    assert health.worker_pools[JobKind.TTS].unhealthy == {"w1": frozenset({"piper"})}


async def test_a_damaged_secret_opens_nothing(redis_broker: RedisBroker) -> None:
    store: Any = redis_broker.connection.commands
    secrets = ClientSecrets(redis_broker.connection)
    principal = Principal("acme", "key_1", ("realtime", "client_secrets"))
    value, _ = await secrets.mint(principal, {"type": "realtime"})
    (key,) = [key async for key in store.scan_iter("avb:secret:*")]
    for damage in (b"", b"\xc1", b"\x81\xa1\xff\x01", b"\x91" * 5_000):
        await store.set(key, damage, ex=60)
        with pytest.raises(BadCredentials):
            await secrets.redeem(value)
