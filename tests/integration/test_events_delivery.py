"""Events reach a receiver that misbehaves: none is lost, each session's come in order, and no session waits for another."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from standardwebhooks import Webhook
from tests.kit.event_post import T0, TAKEN, WHOLE, Post, body, by_session, call, receiver
from tests.kit.fault_proxy import Break, Fault, Reply, Request, server_error, too_many

from agentvoicebox.clock import ManualClock
from agentvoicebox.engine.effects import Persist
from agentvoicebox.events.deliverer import DAY_S
from agentvoicebox.events.destinations import Destinations
from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.storage import outbox
from agentvoicebox.storage.audit import AuditEntry, AuditLog, write
from agentvoicebox.storage.outgoing_event import AUDIT_RECORDED, MESSAGE_RECORDED, SESSION_ENDED, SESSION_STARTED
from agentvoicebox.storage.postgres import Postgres, StorageRefused
from agentvoicebox.storage.record_events import events_of
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.vault import Vault
from agentvoicebox.telemetry.event_metrics import EventMetrics
from agentvoicebox.tools.addresses import Addresses

pytestmark = pytest.mark.requirement("A0")


@pytest.fixture
async def post(postgres: Postgres, manual_clock: ManualClock) -> AsyncIterator[Post]:
    made = Post(postgres, manual_clock)
    await made.catch_up()
    yield made
    await made.sink.close()


async def test_a_call_arrives_whole_in_order_and_signed(post: Post) -> None:
    async with receiver([]) as server:
        destination = await post.to(server.url + "/in?x=1")
        await post.record(*call())
        await post.deliver()
        assert by_session(server.requests) == {"sess_1": WHOLE}
        for request in server.requests:
            assert (request.method, request.target) == ("POST", "/in?x=1")
            assert request.headers["content-type"].startswith("application/cloudevents+json")
            assert request.headers["webhook-id"] == body(request)["id"]
            assert request.headers["webhook-signature"] == Webhook(destination.secret).sign(
                request.headers["webhook-id"], _sent_at(request), request.body.decode()
            )
        assert await post.rows("event_deliveries") == [] and await post.rows("event_lanes") == []


def _sent_at(request: Request) -> Any:
    return datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)


FAULTS: list[Fault] = [
    server_error(500),
    Reply(404),
    Break.RESET,
    Break.HANG_UP,
    Reply(301, headers={"location": "http://169.254.169.254/latest"}),
    Reply(302, headers={"location": "/elsewhere"}),
    too_many(),
    too_many("7"),
    too_many("never"),
    too_many("nan"),
]


SLOW: list[Fault] = [Break.SILENCE, Reply(delay_s=30)]
QUICK_S = 1.0  # until a silent receiver is given up


@pytest.fixture
async def hasty(postgres: Postgres, manual_clock: ManualClock) -> AsyncIterator[Post]:
    """One that soon gives up a silent receiver."""
    made = Post(postgres, manual_clock, timeout_s=QUICK_S)
    yield made
    await made.sink.close()


@pytest.mark.parametrize("fault", SLOW, ids=str)
async def test_a_silent_receiver_is_given_up_and_gets_the_event_again(hasty: Post, fault: Fault) -> None:
    async with receiver([fault, None, fault]) as server:
        await hasty.to(server.url)
        await hasty.record(*call())
        await hasty.deliver_all()
        assert by_session(server.requests) == {"sess_1": WHOLE}
        assert len(server.requests) >= len(WHOLE) + 2


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_whatever_goes_wrong_the_event_comes_again_and_before_the_next_one(post: Post, fault: Fault) -> None:
    async with receiver([fault, None, fault, fault]) as server:
        await post.to(server.url)
        await post.record(*call())
        await post.deliver_all()
        assert by_session(server.requests) == {"sess_1": WHOLE}
        assert body(server.requests[0])["id"] == body(server.requests[1])["id"]
        assert len(server.requests) == len(WHOLE) + 3
        assert not any(each.target == "/elsewhere" for each in server.requests)


async def test_a_slow_body_after_a_success_is_left_to_itself(hasty: Post) -> None:
    async with receiver([Reply(body=b"x" * 100, drip_s=0.05), Reply(body=b"x" * 1_000_000), Break.CUT]) as server:
        await hasty.to(server.url)
        await hasty.record(*call())
        await hasty.deliver_all()
        assert by_session(server.requests) == {"sess_1": WHOLE}
        assert len(server.requests) == len(WHOLE)


async def test_a_session_that_is_refused_holds_up_no_other(post: Post) -> None:
    def plan(request: Request) -> Fault:
        return server_error(500) if body(request)["partitionkey"] == "sess_bad" else TAKEN

    async with receiver(plan) as server:
        await post.to(server.url)
        for batches in zip(call("sess_bad"), call("sess_good"), strict=True):
            await post.record(*batches)
        await post.deliver()
        told = by_session(server.requests)
        assert told["sess_good"] == WHOLE
        assert told["sess_bad"] == WHOLE[:1]  # nothing of it overtakes the event that was refused
        server.follow(lambda _: TAKEN)
        await post.deliver_all()
        assert by_session(server.requests)["sess_bad"] == WHOLE


async def test_a_destination_that_says_nothing_holds_up_no_other(hasty: Post) -> None:
    post = hasty
    async with receiver(lambda _: Break.SILENCE) as silent, receiver([]) as good:
        await post.to(silent.url)
        await post.to(good.url)
        for number in range(6):
            await post.record(*call(f"sess_{number}"))
        await post.catch_up()
        deliverer = post.deliverer(most_lanes=8, most_of_one=2)
        serving = asyncio.create_task(deliverer.deliver_due())
        await good.arrived(6 * len(WHOLE))
        assert all(told == WHOLE for told in by_session(good.requests).values())
        await serving
        assert len({body(each)["partitionkey"] for each in silent.requests}) == 6


async def test_retry_after_pauses_the_whole_destination(post: Post) -> None:
    async with receiver([too_many("100")]) as server:
        await post.to(server.url)
        await post.record(*call("sess_1"), *call("sess_2"))
        await post.deliver(most_of_one=1)
        assert len(server.requests) == 1
        post.clock.advance(99)
        await post.deliver()
        assert len(server.requests) == 1
        post.clock.advance(2)
        await post.deliver()
        assert by_session(server.requests) == {"sess_1": WHOLE, "sess_2": WHOLE}


async def test_waits_grow_between_tries(post: Post) -> None:
    async with receiver(lambda _: server_error(500)) as server:
        await post.to(server.url)
        await post.record(*call())
        tries = []
        for _ in range(5 * 60):
            await post.deliver()
            tries.append(len(server.requests))
            post.clock.advance(1)
    at = [second for second, count in enumerate(tries) if count > (tries[second - 1] if second else 0)]
    assert at == [0, 5, 20, 65, 200]


async def test_what_is_never_taken_is_a_dead_letter_and_the_session_goes_on(post: Post) -> None:
    def plan(request: Request) -> Fault:
        return server_error(500) if body(request)["data"].get("item_id") == "item_1" else TAKEN

    registry = CollectorRegistry()
    metrics = EventMetrics(registry)
    async with receiver(plan) as server:
        destination = await post.to(server.url)
        await post.record(*call())
        for _ in range(40):
            await post.deliver(metrics=metrics)
            post.clock.advance(DAY_S / 20)
        assert by_session(server.requests) == {"sess_1": WHOLE}
        (dead,) = await post.rows("event_deliveries")
        assert dead["dead_at"] is not None and dead["problem"] == "it answers 500" and dead["attempts"] > 5
        (listed,) = await post.destinations.list_all("acme")
        assert (listed.waiting, listed.dead, listed.problem) == (0, 1, "it answers 500")
        counts = {
            result: registry.get_sample_value("avb_event_attempts_total", {"kind": "webhook", "result": result})
            for result in ("taken", "refused", "dead")
        }
        assert counts == {"taken": len(WHOLE) - 1, "refused": dead["attempts"], "dead": 1}
        assert registry.get_sample_value("avb_event_lanes") == 0
        before = len(server.requests)
        server.follow(lambda _: TAKEN)
        await post.deliver_all()
        assert len(server.requests) == before  # dead until somebody asks for it
        assert await post.destinations.replay_dead("acme", destination.destination_id) == 1
        await post.deliver_all()
        assert [body(each)["data"]["item_id"] for each in server.requests[before:]] == ["item_1"]
        assert await post.rows("event_deliveries") == []


async def test_events_are_sent_again_since_a_time_in_order_with_their_ids(post: Post) -> None:
    async with receiver([]) as server:
        destination = await post.to(server.url, types=("agentvoicebox.message.*",))
        await post.record(*call())
        await post.deliver_all()
        first = [body(each)["id"] for each in server.requests]
        async with post.postgres.tenant_transaction("acme") as connection:
            since = await connection.fetchval("SELECT min(recorded_at) FROM events")
        assert await post.destinations.replay_since("acme", destination.destination_id, since) == 3
        await post.deliver_all()
        assert [body(each)["id"] for each in server.requests] == first + first
        assert {body(each)["type"] for each in server.requests} == {MESSAGE_RECORDED}


async def test_records_that_are_written_again_make_no_new_event(post: Post) -> None:
    async with receiver([]) as server:
        await post.to(server.url)
        await post.record(*call(), *call())
        await post.deliver_all()
        later = [TimedBatch(each.batch, each.submitted_s + 100) for each in call(owner="gw_2")]  # after a takeover
        await post.record(*later)
        await post.deliver_all()
        assert Counter(Counter(body(each)["id"] for each in server.requests).values()) == {1: len(WHOLE)}


async def test_an_event_waits_for_the_records_before_its_own(post: Post) -> None:
    opened, first, second, third, closed = call()
    async with receiver([]) as server:
        await post.to(server.url)
        await post.record(opened, second, third)  # a second recorder still has the first message
        await post.deliver()
        assert by_session(server.requests) == {"sess_1": WHOLE[:1]}
        await post.record(first, closed)
        post.clock.advance(1)
        await post.deliver()
        assert by_session(server.requests) == {"sess_1": WHOLE}


async def test_records_that_never_come_hold_up_the_session_for_a_minute(post: Post) -> None:
    opened, _, second, third, closed = call()
    async with receiver([]) as server:
        await post.to(server.url)
        await post.record(opened, second, third, closed)
        for _ in range(45):
            await post.deliver()
            post.clock.advance(1)
        assert len(server.requests) == 1
        post.clock.advance(16)
        await post.deliver()
        assert by_session(server.requests) == {"sess_1": [SESSION_STARTED, "item_1", "item_2", SESSION_ENDED]}


async def test_records_and_events_are_written_together_or_not_at_all(post: Post) -> None:
    await post.to("http://127.0.0.1:9/")
    with pytest.raises(ValueError, match="unknown kind"):
        await post.conversations.write(
            [*call()[:2], TimedBatch(RecordBatch("acme", "s", "", (Persist("x", "odd", {}),)), T0)]
        )
    assert await post.rows("events") == [] and await post.rows("sessions") == []

    with pytest.raises(RuntimeError):
        async with post.postgres.tenant_transaction("acme") as connection:
            await write(connection, "acme", AuditEntry("aud_1", T0, "cli", "key.created", "key_1"))
            raise RuntimeError("after the write")
    assert await post.rows("events") == [] and await post.rows("audit_logs") == []


async def test_audit_entries_are_told_and_only_to_their_tenant(post: Post) -> None:
    async with receiver([]) as server, receiver([]) as other:
        await post.to(server.url)
        await post.to(other.url, tenant="umbra")
        await AuditLog(post.postgres).append(
            "acme", AuditEntry("aud_1", T0, "cli", "key.created", "key_1", body={"a": 1})
        )
        await post.record(*call(tenant="umbra"))
        await post.deliver_all()
        (request,) = server.requests
        assert body(request)["type"] == AUDIT_RECORDED
        assert body(request)["data"] == {
            "audit_id": "aud_1", "actor": "cli", "action": "key.created", "subject": "key_1", "details": {"a": 1},
        }  # fmt: skip
        assert by_session(other.requests) == {"sess_1": WHOLE}
        assert {body(each)["source"] for each in other.requests} == {"/agentvoicebox/tenants/umbra"}


async def test_a_tenant_without_destination_has_no_events(post: Post) -> None:
    await post.record(*call())
    assert await post.rows("events") == [] and await post.rows("event_batches") == []


async def test_a_destination_gets_nothing_more_once_it_is_removed(post: Post) -> None:
    async with receiver([]) as server:
        destination = await post.to(server.url)
        await post.record(*call())
        await post.destinations.remove("acme", destination.destination_id)
        await post.deliver()
        assert server.requests == []
        assert await post.rows("event_deliveries") == [] and await post.rows("event_lanes") == []


async def test_several_deliverers_share_the_work_and_nobody_sends_twice(post: Post) -> None:
    async with receiver([]) as server:
        await post.to(server.url)
        for number in range(20):
            await post.record(*call(f"sess_{number}"))
        await asyncio.gather(*(post.deliver(most_of_one=3) for _ in range(3)))
        assert by_session(server.requests) == {f"sess_{number}": WHOLE for number in range(20)}
        assert len(server.requests) == 20 * len(WHOLE)


async def test_recorders_and_deliverers_at_the_same_time_leave_nothing_behind(post: Post) -> None:
    """Whoever closes a lane and whoever adds to it meet, again and again."""
    async with receiver([]) as server:
        await post.to(server.url)
        stop = asyncio.Event()
        running = [asyncio.create_task(post.deliverer(poll_s=0.001).run(stop)) for _ in range(2)]

        async def record(number: int) -> None:
            for each in call(f"sess_{number}", messages=12):
                await post.record(each)

        await asyncio.gather(*(record(number) for number in range(5)))
        for _ in range(20):  # what waits for records before it is looked at again after half a second
            await post.catch_up()
            post.clock.advance(1)
            await asyncio.sleep(0.01)
        await server.arrived(5 * 14)
        stop.set()
        await asyncio.gather(*running)
        whole = [SESSION_STARTED, *(f"item_{number}" for number in range(12)), SESSION_ENDED]
        assert by_session(server.requests) == {f"sess_{number}": whole for number in range(5)}
        await post.deliver_all()
        assert await post.rows("event_deliveries") == [] and await post.rows("event_lanes") == []


async def test_a_deliverer_that_is_stopped_gives_its_lanes_back(post: Post) -> None:
    async with receiver([Reply(body=b"ok", delay_s=0.2)]) as server:
        await post.to(server.url)
        await post.record(*call())
        stop = asyncio.Event()
        await post.catch_up()
        running = asyncio.create_task(post.deliverer().run(stop))
        await server.arrived(1)
        stop.set()
        await running
        await post.deliver()
        assert by_session(server.requests) == {"sess_1": WHOLE}
        assert len(server.requests) == len(WHOLE)  # none twice: what was being sent came to its end


async def test_an_address_inside_the_network_is_refused(post: Post) -> None:
    guarded = Post(post.postgres, post.clock, addresses=Addresses(is_local=False))
    async with receiver([]) as server:
        await post.to(server.url)
        await post.record(*call())
        await guarded.deliver()
        assert server.requests == []
        problems = {row["problem"] for row in await post.rows("event_deliveries")}
        assert "its address is not allowed; see AVB_EVENTS_PRIVATE_NETWORKS" in problems
    await guarded.sink.close()


async def test_a_secret_whose_key_is_gone_is_told_and_the_events_wait(post: Post) -> None:
    async with receiver([]) as server:
        await post.to(server.url)
        await post.record(*call())
        keyless = Post(post.postgres, post.clock)
        keyless.destinations = Destinations(post.postgres, Vault([b"x" * 32]))
        await keyless.deliver()
        await keyless.sink.close()
        (listed,) = await post.destinations.list_all("acme")
        assert "AVB_HISTORY_KEYS" in listed.problem and listed.waiting == len(WHOLE)
        await post.deliver_all()
        assert by_session(server.requests) == {"sess_1": WHOLE}


async def test_a_record_without_its_events_is_not_written(post: Post) -> None:
    """The outbox refuses; so nothing of the batch may be there."""
    await post.to("http://127.0.0.1:9/")
    bad = TimedBatch(RecordBatch("acme", "sess_1", "", call()[0].batch.records, owner="gw_1", number=2**40), T0)
    with pytest.raises(StorageRefused):
        await post.conversations.write([bad])
    assert await post.rows("sessions") == [] and await post.rows("events") == []


async def test_an_event_that_is_being_added_keeps_its_lane_open(post: Post) -> None:
    """A deliverer that has emptied a lane waits for the recorder that adds to it, and then sees the event."""
    opened, first, *_ = call()
    async with receiver([Reply(delay_s=0.5)]) as server:
        await post.to(server.url)
        await post.record(opened)
        event = next(events_of(first, words="keep", mask=IdentifierMask()))
        event = msgspec.structs.replace(event, number=-1)  # its batch is not counted, so it waits for none
        delivering = asyncio.create_task(post.deliver())
        await server.arrived(1)
        async with post.postgres.tenant_transaction("acme") as connection:
            await outbox.write(connection, "acme", [event])
            await asyncio.wait([delivering], timeout=1.0)
            assert not delivering.done()  # it wants to close the lane
        await delivering
        assert by_session(server.requests) == {"sess_1": WHOLE[:2]}


async def test_a_redirect_is_not_followed(post: Post) -> None:
    async with receiver([]) as elsewhere, receiver([Reply(307, headers={"location": elsewhere.url})]) as server:
        await post.to(server.url)
        await post.record(*call())
        await post.deliver()
        assert (len(server.requests), elsewhere.requests) == (1, [])
        (listed,) = await post.destinations.list_all("acme")
        assert "redirects" in listed.problem
