"""Valkey and PostgreSQL are killed -9 and started again while calls talk: no task dies, calls go on, nothing owed is lost."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from tests.kit.client import Client, calling, until
from tests.kit.gateway import Workers, gateway
from tests.kit.store import looking_into

from agentvoicebox.broker.connection import Connection
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.limits.allowance import Allowance, Scope
from agentvoicebox.limits.redis import Limits
from agentvoicebox.ports.broker import JobKind, SessionRef
from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.sessions.counts import SessionCounts
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.janitor import Janitor
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.history import History
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.workers.recorder import RecorderWork
from agentvoicebox.workers.runner import Runner

pytestmark = pytest.mark.requirement("A1.2", "A10", "C4")

CALLS = 4
EVERYBODY = Scope("global", Allowance(requests=1_000_000))
QUICK = Backoff(first_s=0.01, longest_s=0.05, tries=1 << 60)


class Caller:
    """Types a turn and hears its answer, again and again.

    Attributes:
        said: the ids of its items.
        answers: how each response ended.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.session = SessionRef("default", str(client.events[0]["session"]["id"]))
        self.said: list[str] = []
        self.answers: list[str] = []

    async def talk(self, is_over: asyncio.Event) -> None:
        """Until `is_over`, and one turn more."""
        for number in itertools.count():
            was_over = is_over.is_set()
            item_id = f"item_{number}"
            item = {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
            await self.client.send("conversation.item.create", item=item)
            await self.client.send("response.create")
            self.answers.append((await self.client.until("response.done"))["response"]["status"])
            self.said.append(item_id)
            if was_over:
                return


async def ask_limits(limits: Limits, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await limits.check([EVERYBODY])
        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await stop.wait()


async def listen(directory: SessionDirectory, heard: list[str]) -> None:
    async for notice in directory.notices():
        heard.append(f"{notice.kind} {notice.session.session_id}")


@asynccontextmanager
async def world(valkey_url: str, postgres_url: str) -> AsyncIterator[tuple[Limits, list[str], Postgres]]:
    """Everything beside the gateway that keeps a line to a store: workers, recorder, janitor, counts, limits, notices."""
    broker, connection = RedisBroker(valkey_url), Connection(valkey_url)
    postgres = await Postgres.open(postgres_url)
    directory = SessionDirectory(broker.connection, broker.subscriber)
    counts, limits = SessionCounts(connection, ttl_s=0.6), Limits(connection)
    await counts.reserve(SessionRef("acme", "sess_counted"), "key", tenant_limit=1, key_limit=1)
    workers, recorder = Workers(broker), RecorderWork(Conversations(postgres), broker, backoff=QUICK)
    workers.chunks, workers.pace_s = 6, 0.02
    stop, heard = asyncio.Event(), list[str]()
    tasks = {
        asyncio.create_task(what, name=name)
        for name, what in {
            "workers": workers.run(stop),
            "recorder": Runner(broker, JobKind.RECORD, "w1", slots=64, work=recorder).run(stop),
            "janitor": Janitor(directory, broker).run(stop),
            "counts": counts.run(stop),
            "limits": ask_limits(limits, stop),
        }.items()
    }
    listening = asyncio.create_task(listen(directory, heard), name="notices")
    try:
        yield limits, heard, postgres
        assert not [task for task in (*tasks, listening) if task.done()], "a task died of the outage"
        stop.set()
        await asyncio.gather(*tasks)
        await counts.release(SessionRef("acme", "sess_counted"))
    finally:
        stop.set()
        listening.cancel()
        await asyncio.gather(listening, *tasks, return_exceptions=True)
        await recorder.close()
        await postgres.close()
        await connection.close()
        await broker.close()


async def start(server: EmbeddedValkey | EmbeddedPostgres) -> None:
    await server.start()
    if isinstance(server, EmbeddedValkey):
        # Else the file may be a second behind while the disk is busy; what a call does that lost its job is not asked here.
        with looking_into(server.url) as store:
            store.config_set("appendfsync", "no")


async def kill_and_restart(server: EmbeddedValkey | EmbeddedPostgres) -> None:
    assert server.process is not None
    server.kill()
    await server.process.wait()
    await start(server)


async def recorded(postgres: Postgres, session: SessionRef) -> set[str]:
    """The ids of all items that reached PostgreSQL."""
    ids: list[str] = []
    while (page := await History(postgres).items("default", session.session_id, after=ids[-1] if ids else None)) and (
        page.records
    ):
        ids += [each.item_id for each in page.records]
    return set(ids)


async def test_calls_go_on_while_their_stores_are_killed_and_come_back(own_data_folder: DataFolder) -> None:
    valkey = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets)
    postgres = EmbeddedPostgres(own_data_folder.path / "postgres", own_data_folder.sockets)
    await asyncio.gather(start(valkey), start(postgres))
    await migrate(postgres.url)
    gateway_side = RedisBroker(valkey.url)
    is_over = asyncio.Event()
    try:
        async with (
            world(valkey.url, postgres.url) as (limits, heard, records),
            gateway(gateway_side, has_heartbeats=True) as served,
        ):
            lines = [calling(served.url("model=delivery&resume=1")) for _ in range(CALLS)]
            callers = [Caller(await line.__aenter__()) for line in lines]
            talking = [asyncio.create_task(each.talk(is_over)) for each in callers]
            for victim in (valkey, postgres, valkey):
                seen = [len(each.answers) for each in callers]

                async def all_answered(seen: list[int] = seen) -> bool:
                    return all(len(each.answers) > before for each, before in zip(callers, seen, strict=True))

                await until(all_answered)
                await kill_and_restart(victim)
            is_over.set()
            await asyncio.gather(*talking)
            assert {answer for each in callers for answer in each.answers} == {"completed"}
            for each in callers:
                ids = [event["event_id"] for event in each.client.events]
                assert len(ids) == len(set(ids))

            async def is_recorded() -> bool:
                return all([set(each.said) <= await recorded(records, each.session) for each in callers])

            await until(is_recorded)
            await served.state.directory.heartbeat()
            assert {each.session for each in callers} <= set(await served.state.directory.live())

            async def limits_are_shared() -> bool:
                return not (await limits.check([EVERYBODY])).is_local

            await until(limits_are_shared)
            for line in lines:
                await line.__aexit__(None, None, None)

            async def all_told() -> bool:
                return all(f"closed {each.session.session_id}" in heard for each in callers)

            await until(all_told)  # a subscription that stood through the outages
    finally:
        await gateway_side.close()
        await asyncio.gather(valkey.stop(), postgres.stop())
