"""The wall clock of one gateway, or of the janitor, is an hour wrong from one moment to the next: no call notices.

Time on the machine is set by NTP, by people, and by a virtual machine that wakes up. Only the wall clock jumps then.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.kit.client import Client, calling
from tests.kit.gateway import Gateway, Workers, gateway
from tests.kit.resuming_client import reconnected, return_query
from tests.kit.store import looking_into

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import SystemClock
from agentvoicebox.ports.broker import JobKind, SessionRef
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.janitor import Janitor
from agentvoicebox.sessions.store_time import StoreTime

pytestmark = pytest.mark.requirement("C4")

HOUR_S = 3_600.0
JUMPS = pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["ahead", "behind"])


class JumpingClock(SystemClock):
    """The machine's clocks, with a wall clock that a test sets."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def wall_s(self) -> float:
        return super().wall_s() + self.ahead_s


@asynccontextmanager
async def working(url: str) -> AsyncIterator[Workers]:
    broker, stop = RedisBroker(url), asyncio.Event()
    made = Workers(broker)
    running = asyncio.create_task(made.run(stop), name="workers")
    try:
        yield made
    finally:
        stop.set()
        await running
        await broker.close()


@asynccontextmanager
async def gateway_with(url: str, clock: JumpingClock) -> AsyncIterator[Gateway]:
    broker = RedisBroker(url)
    try:
        async with gateway(broker, clock=clock, call_clock=clock) as served:
            yield served
    finally:
        await broker.close()


async def ask(client: Client) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "where is my parcel"}]}
    await client.send("conversation.item.create", item=item)
    await client.send("response.create")


async def status(client: Client) -> str:
    return str((await client.until("response.done"))["response"]["status"])


def session_of(client: Client) -> SessionRef:
    return SessionRef("default", str(client.events[0]["session"]["id"]))


@JUMPS
async def test_a_turn_whose_jobs_wait_for_a_worker_is_answered_after_the_jump(redis_url: str, jump_s: float) -> None:
    clock = JumpingClock()
    async with gateway_with(redis_url, clock) as served, calling(served.url()) as client:
        await ask(client)
        await client.until("response.created")
        clock.ahead_s = jump_s
        served.state.sessions.publish_health()  # as the health monitor does twice a second: jobs without an answer are looked at
        async with working(redis_url):
            assert await status(client) == "completed"
            await ask(client)
            assert await status(client) == "completed"
            async with calling(served.url()) as newcomer:
                await ask(newcomer)
                assert await status(newcomer) == "completed"


@JUMPS
async def test_no_janitor_ends_a_live_call_whose_gateway_has_another_time(redis_url: str, jump_s: float) -> None:
    clock, janitors_broker = JumpingClock(), RedisBroker(redis_url)
    right = SessionDirectory(janitors_broker.connection, janitors_broker.subscriber)
    wrong_clock = JumpingClock()
    wrong_clock.ahead_s = HOUR_S
    wrong_time = StoreTime(janitors_broker.connection, wrong_clock)
    wrong = SessionDirectory(janitors_broker.connection, janitors_broker.subscriber, time=wrong_time)
    try:
        async with (
            working(redis_url),
            gateway_with(redis_url, clock) as served,
            calling(served.url("model=delivery&resume=1")) as client,
        ):
            await ask(client)
            assert await status(client) == "completed"
            assert await Janitor(wrong, janitors_broker).sweep() == 0
            clock.ahead_s = jump_s
            await served.state.directory.heartbeat()
            assert await Janitor(right, janitors_broker).sweep() == 0
            assert await served.state.directory.find(session_of(client)) is not None
            with looking_into(redis_url) as store:
                assert store.xlen(keys.log(session_of(client)))
            await ask(client)
            assert await status(client) == "completed"
    finally:
        await janitors_broker.close()


async def test_a_call_resumes_at_a_gateway_whose_clock_is_an_hour_behind(redis_url: str) -> None:
    behind = JumpingClock()
    behind.ahead_s = -HOUR_S
    async with (
        working(redis_url) as workers,
        gateway_with(redis_url, JumpingClock()) as first,
        gateway_with(redis_url, behind) as second,
        calling(first.url("model=delivery&resume=1")) as client,
    ):
        await ask(client)
        assert await status(client) == "completed"
        client.ws.transport.abort()
        async with reconnected(second.url(return_query(client)), client) as again:
            assert (await again.next())["type"] == "agentvoicebox.resumed"
            await ask(again)
            assert await status(again) == "completed"
        ids = [event["event_id"] for event in client.events]
        assert len(ids) == len(set(ids))
        assert sum(kind is JobKind.LLM for kind, _ in workers.taken) == 2  # no job was done again
