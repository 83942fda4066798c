"""A deliverer killed with -9 in the middle of an event: another one sends it again, and nothing is lost or out of order."""

import base64
from asyncio.subprocess import Process
from collections import Counter
from contextlib import AbstractAsyncContextManager

import pytest
from tests.kit.event_post import KEY, TAKEN, WHOLE, Post, body, by_session, call, receiver
from tests.kit.fault_proxy import Break, Fault, Request
from tests.kit.kits import migrate
from tests.kit.role_process import role_process

from agentvoicebox.clock import ManualClock
from agentvoicebox.events.lanes import LEASE_S
from agentvoicebox.storage.postgres import Postgres

pytestmark = pytest.mark.requirement("A0")


def deliverer_process(postgres_url: str) -> AbstractAsyncContextManager[Process]:
    """The real role in a process of its own, ready."""
    settings = {"AVB_POSTGRES_URL": postgres_url, "AVB_HISTORY_KEYS": base64.b64encode(KEY).decode()}
    return role_process("events", "agentvoicebox.workers.events:serve_events", settings)


async def test_an_event_whose_deliverer_was_killed_is_sent_again_and_nothing_is_lost(
    postgres_url: str, manual_clock: ManualClock
) -> None:
    def plan(request: Request) -> Fault:
        return Break.SILENCE if body(request)["data"].get("item_id") == "item_1" else TAKEN

    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url, most_connections=3)
    post = Post(postgres, manual_clock)
    async with receiver(plan) as server:
        await post.to(server.url)
        await post.record(*call("sess_1"), *call("sess_2"))
        async with deliverer_process(postgres_url) as process:
            await server.arrived(2 * 3)  # both sessions are at their third event, which nobody answers
            process.kill()
            await process.wait()
        server.follow(lambda _: TAKEN)
        await post.deliver()  # the lanes are still the dead one's
        assert len(server.requests) == 6
        post.clock.advance(LEASE_S)
        await post.deliver()
        assert by_session(server.requests) == {"sess_1": WHOLE, "sess_2": WHOLE}
        times = Counter(body(each)["id"] for each in server.requests)
        assert (
            sorted(times.values()) == [1] * 8 + [2] * 2
        )  # the events whose outcome was unknown came twice, with their ids
        assert await post.rows("event_deliveries") == [] and await post.rows("event_lanes") == []
    await post.sink.close()
    await postgres.close()


async def test_the_role_ends_in_order_and_delivers_what_it_has_begun(
    postgres_url: str, manual_clock: ManualClock
) -> None:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url, most_connections=3)
    post = Post(postgres, manual_clock)
    async with receiver([]) as server:
        await post.to(server.url)
        async with deliverer_process(postgres_url) as process:
            await post.record(*call())
            await server.arrived(len(WHOLE))
            process.terminate()
            assert await process.wait() == 0
        assert by_session(server.requests) == {"sess_1": WHOLE}
        assert await post.rows("event_deliveries") == []
    await post.sink.close()
    await postgres.close()
