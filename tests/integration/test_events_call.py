"""A whole call over a real socket, Valkey and PostgreSQL, and what a receiver gets of it."""

import msgspec
import pytest
from tests.kit.client import SERVER_VAD, calling, until
from tests.kit.event_post import Post, body, receiver
from tests.kit.gateway import Workers, gateway
from tests.kit.recorder import recording

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.storage.conversations import Conversations
from agentvoicebox.storage.outgoing_event import (
    MESSAGE_RECORDED,
    RESPONSE_DONE,
    SESSION_ENDED,
    SESSION_STARTED,
    TURN_COMPLETED,
)
from agentvoicebox.storage.postgres import Postgres

pytestmark = pytest.mark.requirement("A0")


async def test_a_receiver_gets_the_call_in_order_while_two_recorders_write_it(
    redis_broker: RedisBroker, redis_url: str, workers: Workers, postgres: Postgres, manual_clock: ManualClock
) -> None:
    post = Post(postgres, manual_clock)
    second = RedisBroker(redis_url)
    conversations = Conversations(postgres)
    async with (
        receiver([]) as server,
        gateway(redis_broker) as served,
        recording(redis_broker, conversations),
        recording(second, conversations, name="w2"),
    ):
        await post.to(server.url, tenant=DEFAULT_TENANT)
        async with calling(served.url()) as client:
            session_id = client.events[0]["session"]["id"]
            await client.use(audio=SERVER_VAD)
            for _ in range(3):
                await client.speak()
                await client.until("response.done")

        async def ended() -> bool:
            rows = await post.rows("events", DEFAULT_TENANT)
            return any(row["type"] == SESSION_ENDED for row in rows)

        await until(ended)
        await post.deliver_all()
        (batches,) = await post.rows("event_batches", DEFAULT_TENANT)
        assert len(batches["written"]) == 1  # the gateway has numbered them all, without a gap
    await second.close()
    await post.sink.close()

    told = [body(request) for request in server.requests]
    assert {event["partitionkey"] for event in told} == {session_id}
    assert [event["sequence"] for event in told] == sorted(event["sequence"] for event in told)
    types = [event["type"] for event in told]
    assert types[0] == SESSION_STARTED and types[-1] == SESSION_ENDED
    assert types.count(RESPONSE_DONE) == types.count(TURN_COMPLETED) == 3
    seen = [event["data"]["item_id"] for event in told if event["type"] == MESSAGE_RECORDED]
    sent = [event["item"]["id"] for event in client.of("conversation.item.done")]
    assert list(dict.fromkeys(seen)) == list(dict.fromkeys(sent))
    assert len({event["id"] for event in told}) == len(told)
    assert msgspec.json.encode(told)
