"""Open sessions of a tenant and a key, counted over processes that race, crash and lose the store."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.kit.store import looking_into
from tests.kit.waiting import PATIENCE_S, until

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.sessions.counts import AtCapacity, Reserved, SecretLimit, SessionCounts

ROOT = Path(__file__).parents[2]
GATEWAYS, CONNECTS, TENANT_LIMIT, KEY_LIMIT = 3, 200, 70, 30
TTL_S = 2.0

RACER = f"""
import asyncio, json, sys
from agentvoicebox.broker.connection import Connection
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.sessions.counts import Reserved, SessionCounts

async def main(url, name):
    connection = Connection(url)
    await connection.commands.ping()
    counts = SessionCounts(connection, ttl_s={TTL_S})
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    sessions = [SessionRef("acme", f"{{name}}_{{number}}") for number in range({CONNECTS})]
    limits = dict(tenant_limit={TENANT_LIMIT}, key_limit={KEY_LIMIT})
    answers = await asyncio.gather(*(counts.reserve(each, "key_" + name, **limits) for each in sessions))
    entered = [each for each in answers if isinstance(each, Reserved)]
    figures = dict(entered=len(entered), local=sum(each.is_local for each in entered),
                   most=max([each.tenant_open for each in entered], default=0))
    print(json.dumps(figures), flush=True)
    stop = asyncio.Event()
    beating = asyncio.create_task(counts.run(stop))
    await asyncio.to_thread(sys.stdin.readline)
    stop.set()
    await beating
    await connection.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def connection(store_url: str) -> AsyncIterator[Connection]:
    made = Connection(store_url)
    yield made
    await made.close()


def limits(tenant: int | None = None, key: int | None = None) -> dict[str, Any]:
    return {"tenant_limit": tenant, "key_limit": key}


def call(number: int, tenant: str = "acme") -> SessionRef:
    return SessionRef(tenant, f"sess_{number}")


@asynccontextmanager
async def racers(url: str) -> AsyncIterator[list[Process]]:
    """Gateways in processes of their own, each ready to connect `CONNECTS` sessions when a line is written to it."""
    made = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", RACER, url, f"g{number}"),
            cwd=ROOT, env=os.environ | {"PYTHONPATH": "src"}, stdin=PIPE, stdout=PIPE,
        )
        for number in range(GATEWAYS)
    ]  # fmt: skip
    try:
        for each in made:
            assert await said(each) == "ready"
        yield made
    finally:
        for each in made:
            if each.returncode is None:
                tell(each)
        await asyncio.gather(*(each.wait() for each in made))


async def said(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        return (await process.stdout.readline()).decode().strip()


def tell(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")


async def test_racing_gateways_never_overshoot_and_a_dead_ones_places_come_free(redis_url: str) -> None:
    with looking_into(redis_url) as redis:

        def taken() -> int:
            return int(redis.zcard(keys.open_of_tenant("acme")))

        async with racers(redis_url) as gateways:
            for each in gateways:
                tell(each)
            figures = [json.loads(await said(each)) for each in gateways]
            assert sum(figure["entered"] for figure in figures) == TENANT_LIMIT == taken()
            assert max(figure["most"] for figure in figures) == TENANT_LIMIT
            assert all(figure["entered"] <= KEY_LIMIT and not figure["local"] for figure in figures)

            gateways[0].kill()
            connection = Connection(redis_url)
            counts = SessionCounts(connection, ttl_s=TTL_S)
            newcomers = [call(number) for number in range(TENANT_LIMIT)]
            let_in: list[SessionRef] = []

            async def knock() -> None:
                for each in newcomers[len(let_in) :]:
                    if isinstance(await counts.reserve(each, "key_new", **limits(TENANT_LIMIT)), AtCapacity):
                        return
                    let_in.append(each)

            async with asyncio.timeout(PATIENCE_S):
                while len(let_in) < figures[0]["entered"]:
                    await knock()
                    await counts.renew()
                    assert taken() <= TENANT_LIMIT
                    await asyncio.sleep(0.05)
            await knock()
            assert len(let_in) == figures[0]["entered"], "the living kept theirs"
            await connection.close()


async def test_the_answer_says_what_is_full_and_when_to_come_again(connection: Connection) -> None:
    counts = SessionCounts(connection)
    assert await counts.reserve(call(1), "k1", **limits(2, 1)) == Reserved(1, 1)
    full = await counts.reserve(call(2), "k1", **limits(2, 1))
    assert isinstance(full, AtCapacity) and (full.whose, full.limit) == ("key", 1) and 25 < full.retry_after_s <= 30
    assert await counts.reserve(call(2), "k2", **limits(2, 1)) == Reserved(2, 1)
    full = await counts.reserve(call(3), "k3", **limits(2, 1))
    assert isinstance(full, AtCapacity) and (full.whose, full.limit) == ("tenant", 2)
    assert isinstance(await counts.reserve(call(3, "umbra"), "k3", **limits(2, 1)), Reserved), "tenants do not meet"
    assert isinstance(await counts.reserve(call(4, "nobody"), "k4", **limits(0)), AtCapacity)


async def test_a_session_that_is_inside_is_never_refused_and_counts_once(
    store_url: str, connection: Connection
) -> None:
    here, there = SessionCounts(connection), SessionCounts(connection)
    assert await here.reserve(call(1), "k", **limits(1, 1)) == Reserved(1, 1)
    assert await there.reserve(call(1), "k", **limits(1, 1)) == Reserved(1, 1), "taken over by another gateway"
    here.stop_renewing(call(1))
    await here.release(call(1))
    assert isinstance(await there.reserve(call(2), "k", **limits(1, 1)), AtCapacity)
    await there.release(call(1))
    assert await there.reserve(call(2), "k", **limits(1, 1)) == Reserved(1, 1)


async def test_who_leaves_during_a_heartbeat_is_gone_after_it(
    store_url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = SessionCounts(connection)
    await counts.reserve(call(1), "k", **limits())
    has_left = asyncio.Event()
    send = connection.call

    async def send_late(what: Callable[[], Awaitable[Any]]) -> Any:
        await has_left.wait()
        return await send(what)

    with monkeypatch.context() as busy:
        busy.setattr(connection, "call", send_late)
        beating = asyncio.create_task(counts.renew())
        await asyncio.sleep(0)  # the heartbeat knows whom it renews, and is under way
    await counts.release(call(1))
    has_left.set()
    await beating
    with looking_into(store_url) as redis:
        assert redis.exists(keys.open_of_tenant("acme"), keys.open_of_key("acme", "k")) == 0


async def test_without_a_store_a_process_counts_its_own_and_writes_them_down_later(
    store_url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = SessionCounts(connection)
    assert await counts.reserve(call(1), "k", **limits(3, 2)) == Reserved(1, 1)
    away = Connection("redis://127.0.0.1:1/0", retry_for_s=0.05)
    with monkeypatch.context() as outage:
        outage.setattr(counts, "_connection", away)
        assert await counts.reserve(call(2), "k", **limits(3, 2)) == Reserved(2, 2, is_local=True)
        full = await counts.reserve(call(3), "k", **limits(3, 2))
        assert isinstance(full, AtCapacity) and full.whose == "key"
    await away.close()
    with looking_into(store_url) as redis:
        assert redis.zcard(keys.open_of_tenant("acme")) == 1
        await counts.renew()
        assert redis.zcard(keys.open_of_tenant("acme")) == 2


@pytest.mark.parametrize("is_away", [False, True])
async def test_a_secret_has_its_own_slots_and_a_session_without_caller_leaves_them(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, is_away: bool
) -> None:
    counts, one, two = SessionCounts(connection), SecretLimit("a", 1), SecretLimit("b", 2)
    if is_away:
        away = Connection("redis://127.0.0.1:1/0", retry_for_s=0.05)
        monkeypatch.setattr(counts, "_connection", away)

    async def enters(number: int, secret: SecretLimit, **limited: Any) -> bool:
        return isinstance(await counts.reserve(call(number), "k", secret=secret, **limits(**limited)), Reserved)

    assert await enters(1, one)
    full = await counts.reserve(call(2), "k", **limits(), secret=one)
    assert isinstance(full, AtCapacity) and (full.whose, full.limit) == ("secret", 1)
    assert await enters(1, one), "a session that has its slot keeps it"
    assert [await enters(number, two) for number in (3, 4, 5)] == [True, True, False]
    with contextlib.suppress(BrokerLost):
        await counts.leave_secret(call(1))
    assert not isinstance(await counts.reserve(call(6), "k", **limits(3)), Reserved), "it keeps its tenant's slot"
    assert await enters(6, one)
    assert not await enters(1, one), "its slot is another's now"
    assert counts._own[call(1)].secret_id == ""
    if is_away:
        await away.close()
        return
    await counts.renew()
    await counts.leave_secret(call(6))
    assert await enters(1, one)


@pytest.mark.parametrize("bad", ["", "a}b", "{", "a/b"])
async def test_a_tenant_that_could_reach_into_anothers_places_is_refused(connection: Connection, bad: str) -> None:
    with pytest.raises(ValueError, match="tenant"):
        await SessionCounts(connection).reserve(SessionRef(bad, "sess_1"), "k", **limits(1, 1))


async def test_places_do_not_outlive_the_last_heartbeat(store_url: str, connection: Connection) -> None:
    await SessionCounts(connection, ttl_s=0.2).reserve(call(1), "k", **limits(1, 1))
    with looking_into(store_url) as redis:
        await until(lambda: redis.dbsize(), "places are left")
