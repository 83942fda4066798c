"""A store near its memory limit refuses new work long before it evicts anything, and eviction takes nothing of an open call."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_gateway_resume import LONG, STARTS, assert_whole, hear_some
from tests.kit.client import Client, calling, until
from tests.kit.gateway import Gateway, Workers, calm, gateway, says, silence
from tests.kit.resuming_client import reconnected, refusal, return_query, session_id
from tests.kit.store import ValkeyNode, looking_into

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.engine.inputs import Generated, ToolCallDelta
from agentvoicebox.ports.broker import AppendAudio, AppendLog, AudioEntry, Job, JobKind, SessionRef, Submit
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.log import SessionLog
from agentvoicebox.telemetry.metrics_page import metrics_page
from agentvoicebox.tools.ledger import CallKey, RedisLedger

pytestmark = pytest.mark.requirement("A1.1")

LIMIT = 24 * 1024 * 1024
FILLER = b"x" * 16_000
CALL = SessionRef("acme", "sess_1")
KINDS = (JobKind.STT, JobKind.LLM, JobKind.TTS)
TEXT = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "where is my parcel"}]}


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[ValkeyNode]:
    """A Valkey with little memory, set up as ours is."""
    node = ValkeyNode(tmp_path / "valkey", "--maxmemory", str(LIMIT), "--maxmemory-policy", "volatile-lru")
    await node.start()
    yield node
    await node.kill()


def info(node: ValkeyNode, name: str) -> int:
    return int(node.ask("INFO")[name])


async def fill_until_evicted(node: ValkeyNode, count: int) -> None:
    """Write other keys with a time to live until so many keys have been evicted."""
    with looking_into(node.url) as store:
        for batch in range(1_000):
            pipe = store.pipeline(transaction=False)
            for number in range(50):
                pipe.set(f"avb:secret:{batch}:{number}:{count}", FILLER, ex=3600)
            pipe.execute()
            await asyncio.sleep(0.001)  # the call goes on meanwhile
            if info(node, "evicted_keys") >= count:
                return
    raise AssertionError("nothing was evicted")


async def fill_to(node: ValkeyNode, share: float) -> None:
    """Write lasting keys up to a share of the limit, or delete some."""
    with looking_into(node.url) as store:
        while info(node, "used_memory") < share * LIMIT - len(FILLER):
            store.rpush("filler", *[FILLER] * 5)
            await asyncio.sleep(0)
        excess = info(node, "used_memory") - int(share * LIMIT)
        if excess > 10 * len(FILLER):
            store.lpop("filler", excess // len(FILLER))


def keys_of(node: ValkeyNode, session: SessionRef) -> set[str]:
    return {key for key in node.ask("KEYS", "*") if keys.session_of(key) == session}


async def test_eviction_takes_no_key_of_an_open_session_of_any_kind(small: ValkeyNode) -> None:
    broker = RedisBroker(small.url)
    directory = SessionDirectory(broker.connection, broker.subscriber)
    await directory.open(CALL, {"gateway": "g1"}, owner="g1")
    ids = [f"job_{kind}" for kind in KINDS]
    jobs = [Submit(Job(job_id, kind, CALL, b"", 0.0)) for job_id, kind in zip(ids, KINDS, strict=True)]
    audio = AppendAudio(CALL, ids[0], AudioEntry("audio", 0, bytes(640)))
    await broker.dispatch([*jobs, audio, AppendLog(CALL, b"opened")], owner="g1")
    for kind in KINDS:
        for claim in await broker.claim(kind, "w", slots=8, wait_s=0):
            assert await broker.publish(claim, b"so far")
    await SessionLog(broker.connection).save_snapshot(CALL, b"state", 1, owner="g1")
    await broker.dispatch([AppendLog(CALL, b"said")], owner="g1")
    ledger = RedisLedger(broker.connection)
    key = CallKey(CALL, "call_1", "book_courier", "{}")
    assert (await ledger.begin(key, 0.0)).is_new
    await ledger.finish(CALL, key.call, "booked")
    before = keys_of(small, CALL)
    assert {key.split("{")[0] for key in before} == {
        f"avb:{kind}:"
        for kind in ("session", "job", "jobs", "results", "audio:out", "audio:in", "log", "snapshot", "effects")
    }

    await fill_until_evicted(small, 4_000)

    assert keys_of(small, CALL) == before
    assert {key: small.ask("TTL", key) for key in before} == dict.fromkeys(before, -1)
    await broker.forget(CALL)
    assert await directory.close(CALL)
    (left,) = keys_of(small, CALL) or {keys.effects(CALL)}
    assert left == keys.effects(CALL) and small.ask("TTL", left) != -1
    await broker.close()


@asynccontextmanager
async def serving(node: ValkeyNode, **changes: Any) -> AsyncIterator[tuple[Gateway, Gateway, Workers]]:
    """Two gateways and workers over one store."""
    brokers = [RedisBroker(node.url) for _ in range(3)]
    workers, stop = Workers(brokers[2]), asyncio.Event()
    working = asyncio.create_task(workers.run(stop), name="test workers")
    try:
        async with gateway(brokers[0], **changes) as one, gateway(brokers[1]) as other:
            yield one, other, workers
    finally:
        stop.set()
        await working
        for each in brokers:
            await each.close()


@pytest.mark.requirement("A4.1")
async def test_a_call_finishes_its_turn_and_goes_on_at_another_gateway_while_the_store_evicts(
    small: ValkeyNode,
) -> None:
    async with serving(small) as (one, other, workers):
        workers.writes, workers.chunks, workers.pace_s, workers.is_distinct = says(LONG), 30, 0.02, True
        async with calling(one.url(STARTS)) as client:
            await client.send("conversation.item.create", item=TEXT)
            await client.send("response.create")
            await hear_some(client, 2)
            session = SessionRef("default", session_id(client))
            before = keys_of(small, session)
            await fill_until_evicted(small, 200)
            assert before <= keys_of(small, session)
            await hear_some(client, 2)
            client.ws.transport.abort()
        await fill_until_evicted(small, 2_000)
        assert before <= keys_of(small, session)
        async with reconnected(other.url(return_query(client)), client) as client:
            resumed = await client.next()
            assert (resumed["type"], resumed["is_complete"]) == ("agentvoicebox.resumed", True)
            await client.until("response.done")
        assert_whole(client, workers)


async def until_told(client: Client, *modes: str) -> None:
    while (await client.until("session.updated"))["session"].get("degraded") != list(modes):
        pass


async def refused(client: Client, kind: str, **fields: Any) -> tuple[str, str]:
    await client.send(kind, **fields)
    error = (await client.until("error"))["error"]
    return str(error["code"]), str(error["param"])


async def test_a_store_that_fills_up_refuses_new_calls_first_then_new_work_and_takes_both_again(
    small: ValkeyNode,
) -> None:
    health = calm()
    async with serving(small, health=health, check_interval_s=0.02) as (one, _, workers):
        workers.writes = lambda _, job_id: iter(
            [ToolCallDelta(job_id, 0, "own_tool", "{}"), Generated(job_id, "tool_calls")]
        )
        async with calling(one.url()) as client:
            await client.use(
                output_modalities=["text"],
                tools=[{"type": "function", "name": "own_tool"}],
                audio={"input": {"turn_detection": None}},
            )

            async def is_filling() -> bool:
                return not health.takes_new_calls

            await fill_to(small, 0.80)
            await until(is_filling)
            error, code, reason = await refusal(one.url())
            assert (error["code"], code, reason) == ("store_full", 1013, "server_error.store_full")
            await client.send("conversation.item.create", item=TEXT)  # of an open call nothing is refused yet
            await client.until("conversation.item.done")

            await fill_to(small, 0.92)
            await until_told(client, "store_full")
            assert await refused(client, "conversation.item.create", item=TEXT) == ("store_full", "item")
            backlog = base64.b64encode(silence(40_000)).decode()
            assert await refused(client, "input_audio_buffer.append", audio=backlog) == ("store_full", "audio")
            await client.send("input_audio_buffer.append", audio=base64.b64encode(silence(500)).decode())
            await client.send("response.create")
            call = (await client.until("response.function_call_arguments.done"))["call_id"]
            await client.until("response.done")
            workers.writes = says("It is on its way.")
            output = {"type": "function_call_output", "call_id": call, "output": "found"}
            await client.send("conversation.item.create", item=output)
            await client.send("response.create")
            assert (await client.until("response.done"))["response"]["status"] == "completed"
            assert info(small, "evicted_keys") == 0
            assert b"avb_store_memory_level 2.0" in metrics_page(one.state.metrics.registry)[0]

            await fill_to(small, 0.4)
            await until_told(client)
            await client.send("conversation.item.create", item=TEXT)
            await client.until("conversation.item.done")
        async with calling(one.url()):
            pass
