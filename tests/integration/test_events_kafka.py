"""A call's events on a topic of a real Kafka-compatible broker, which goes away meanwhile; and a database that is away."""

import asyncio
from itertools import groupby

import msgspec
import pytest
from tests.kit.event_post import WHOLE, Post, call, receiver
from tests.kit.kafka_broker import kafka_broker

from agentvoicebox.clock import ManualClock
from agentvoicebox.events.deliverer import Deliverer
from agentvoicebox.events.kafka_sink import KafkaSink
from agentvoicebox.storage.postgres import Postgres

pytestmark = pytest.mark.requirement("A0")


async def test_a_topic_gets_each_session_in_order_and_waits_while_the_cluster_is_away(
    postgres: Postgres, manual_clock: ManualClock
) -> None:
    post = Post(postgres, manual_clock)
    async with kafka_broker() as broker, receiver([]) as server:
        sink = KafkaSink([broker.address], timeout_s=3)
        deliverer = Deliverer(post.lanes, post.destinations, {"webhook": post.sink, "kafka": sink}, chance=lambda: 0.0)
        await post.destinations.add("acme", "kafka", "calls")
        await post.to(server.url)
        await broker.stop()
        for number in range(4):
            await post.record(*call(f"sess_{number}"))
        await post.catch_up()
        await deliverer.deliver_due()
        assert len(server.requests) == 4 * len(WHOLE)  # the other destination does not wait
        assert len(await post.rows("event_deliveries")) == 4 * len(WHOLE)

        await broker.start()
        await broker.create("calls")
        for _ in range(5):
            post.clock.advance(3_600)
            await deliverer.deliver_due()
        assert await post.rows("event_deliveries") == []
        found = await broker.read("calls", 4 * len(WHOLE))
        for key, messages in groupby(sorted(found, key=lambda each: each[1]), key=lambda each: each[1]):
            events = [msgspec.json.decode(value) for _, _, value, _ in messages]
            once = list({event["id"]: event for event in events}.values())
            assert [event["data"].get("item_id") or event["type"] for event in once] == WHOLE, key
        await sink.close()
    await post.sink.close()


async def test_a_deliverer_waits_for_a_database_that_is_away_and_ends_when_it_is_asked_to(
    postgres: Postgres, manual_clock: ManualClock
) -> None:
    away = await Postgres.open("postgresql://agentvoicebox@127.0.0.1:9/none")
    post = Post(away, manual_clock)
    stop = asyncio.Event()
    running = asyncio.create_task(post.deliverer(poll_s=0.01).run(stop))
    await asyncio.wait([running], timeout=0.3)
    assert not running.done()
    stop.set()
    await running
    await post.sink.close()
    await away.close()
