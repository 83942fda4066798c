"""A session's past and its owner, in a real Valkey."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from tests.kit.store import looking_into
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.engine import session_format
from agentvoicebox.errors import NewerFormat, SessionTaken
from agentvoicebox.ports.broker import AppendLog, Dispatch, Job, JobKind, SessionRef, Submit
from agentvoicebox.sessions.directory import FORMAT, OWNER, UNTIL, SessionDirectory, format_of
from agentvoicebox.sessions.janitor import Janitor
from agentvoicebox.sessions.leaked_keys import LeakedKeys
from agentvoicebox.sessions.log import SessionLog

CALL = SessionRef("acme", "sess_1")


@pytest.fixture
async def broker(store_url: str) -> AsyncIterator[RedisBroker]:
    made = RedisBroker(store_url)
    yield made
    await made.close()


@pytest.fixture
def directory(broker: RedisBroker, manual_clock: ManualClock) -> SessionDirectory:
    return SessionDirectory(broker.connection, broker.subscriber, clock=manual_clock)


async def append(broker: RedisBroker, *inputs: bytes) -> None:
    await broker.dispatch([AppendLog(CALL, raw) for raw in inputs])


async def test_a_log_without_a_snapshot_is_read_from_the_start(broker: RedisBroker) -> None:
    log = SessionLog(broker.connection)
    assert await log.load(CALL) == (None, [])
    await append(broker, b"opened", b"said")
    assert await log.load(CALL) == (None, [b"opened", b"said"])


async def test_a_snapshot_stands_for_the_inputs_it_covers_and_no_more(broker: RedisBroker, store_url: str) -> None:
    log = SessionLog(broker.connection)
    await append(broker, *(b"%d" % number for number in range(1, 1201)))
    await log.save_snapshot(CALL, b"state at 1100", 1100)
    assert await log.load(CALL) == (b"state at 1100", [b"%d" % number for number in range(1101, 1201)])
    await append(broker, b"1201")
    await log.save_snapshot(CALL, b"state at 1200", 1200)
    assert await log.load(CALL) == (b"state at 1200", [b"1201"])
    with looking_into(store_url) as redis:
        assert redis.xlen(keys.log(CALL)) == 1


async def test_a_snapshot_heals_inputs_that_the_store_never_got(broker: RedisBroker) -> None:
    log = SessionLog(broker.connection)
    await append(broker, b"1", b"2")
    await log.save_snapshot(CALL, b"state at 5", 5)  # 3, 4 and 5 were lost with the store
    await append(broker, b"6", b"7")
    await log.save_snapshot(CALL, b"state at 6", 6)
    assert await log.load(CALL) == (b"state at 6", [b"7"])


async def test_an_input_that_was_sent_twice_around_a_lost_connection_counts_once(
    broker: RedisBroker, store_url: str
) -> None:
    log = SessionLog(broker.connection)
    await append(broker, b"1", b"2")
    with looking_into(store_url, as_text=False) as redis:
        entries: Any = redis.xrange(keys.log(CALL))
        for _, fields in entries:  # the whole dispatch again, nonces and all
            redis.xadd(keys.log(CALL), fields)
    await append(broker, b"3")
    assert await log.load(CALL) == (None, [b"1", b"2", b"3"])


@pytest.mark.requirement("A1.3")
async def test_what_one_gateway_writes_another_reads_and_hears(
    broker: RedisBroker, directory: SessionDirectory, store_url: str, manual_clock: ManualClock
) -> None:
    other_broker = RedisBroker(store_url)
    other = SessionDirectory(other_broker.connection, other_broker.subscriber, clock=manual_clock)
    try:
        async with asyncio.timeout(PATIENCE_S), aclosing(other.notices()) as notices:  # type: ignore[type-var]
            hearing = asyncio.ensure_future(anext(notices))
            while not hearing.done():  # until its subscription stands
                await directory.open(CALL, {"gateway": "g1", "model": "delivery"})
                await asyncio.wait({hearing}, timeout=0.02)
            # "changed" when the subscription stood only at a later one of these calls
            assert hearing.result().kind in {"opened", "changed"} and hearing.result().session == CALL
            await directory.change(CALL, {"gateway": "g2"})
            assert await other.get(CALL) == {"tenant_id": "acme", "gateway": "g2", "model": "delivery"}
            assert await directory.close(CALL)
            assert not await other.close(CALL)
            async for notice in notices:
                if notice.kind == "closed":
                    break
        assert await other.get(CALL) is None
    finally:
        await other_broker.close()


async def test_live_sessions_are_counted_for_all_and_listed_for_a_tenant(
    directory: SessionDirectory, manual_clock: ManualClock
) -> None:
    theirs = SessionRef("other", "sess_9")
    await directory.open(CALL, {})
    await directory.open(theirs, {})
    assert await directory.count() == 2
    assert await directory.live("acme") == [CALL]
    manual_clock.advance(keys.SESSION_TTL_S + 1)
    assert await directory.count() == 0
    await directory.heartbeat()
    assert await directory.count() == 2
    for session in (CALL, theirs):
        await directory.close(session)


@pytest.mark.requirement("A1.5")
async def test_a_session_whose_heartbeats_stop_is_swept_up_with_all_it_had(
    broker: RedisBroker, directory: SessionDirectory, manual_clock: ManualClock, store_url: str
) -> None:
    await directory.open(CALL, {"gateway": "g1"})
    await append(broker, b"opened")
    await broker.dispatch([Submit(Job("job_1", JobKind.LLM, CALL, b"", 0.0))])
    janitor = Janitor(directory, broker)
    assert await janitor.sweep() == 0
    manual_clock.advance(keys.SESSION_TTL_S + keys.SESSION_HEARTBEAT_S + 1)
    assert await janitor.sweep() == 1
    assert await janitor.sweep() == 0
    assert await directory.count() == 0
    assert await broker.claim(JobKind.LLM, "w", slots=1, wait_s=0) == []
    with looking_into(store_url) as redis:
        assert [key for key in redis.scan_iter() if "sess_1" in key] == []


async def test_of_two_owners_only_the_one_that_has_the_session_hands_out_records(
    broker: RedisBroker, directory: SessionDirectory, store_url: str, manual_clock: ManualClock
) -> None:
    other_broker = RedisBroker(store_url)
    other = SessionDirectory(other_broker.connection, other_broker.subscriber, clock=manual_clock)
    await directory.open(CALL, {}, owner="first")
    await broker.dispatch([Submit(Job("rec_1", JobKind.RECORD, CALL, b"", 0.0))], owner="first")
    seen = await other.find(CALL)
    assert seen is not None and await other.take_over(CALL, seen, owner="second")
    with pytest.raises(SessionTaken):
        await broker.dispatch([Submit(Job("rec_2", JobKind.RECORD, CALL, b"", 0.0))], owner="first")
    await other_broker.dispatch([Submit(Job("rec_3", JobKind.RECORD, CALL, b"", 0.0))], owner="second")
    await broker.dispatch([Submit(Job("rec_1~anew", JobKind.RECORD, CALL, b"", 0.0))])  # the recorder's own
    claims = await broker.claim(JobKind.RECORD, "w", slots=9, wait_s=5)
    assert [claim.job.job_id for claim in claims] == ["rec_1", "rec_3", "rec_1~anew"]
    for claim in claims:
        await broker.release(claim)
    with looking_into(store_url) as redis:
        assert [key for key in redis.scan_iter() if "job" in key] == [], "no fence outlives its record"
    await other.close(CALL)
    await other_broker.close()


async def test_a_session_that_ends_during_a_heartbeat_stays_ended(
    broker: RedisBroker, directory: SessionDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await directory.open(CALL, {})
    has_ended = asyncio.Event()
    send = broker.connection.call

    async def send_late(what: Callable[[], Awaitable[Any]]) -> Any:
        await has_ended.wait()
        return await send(what)

    with monkeypatch.context() as busy:
        busy.setattr(broker.connection, "call", send_late)
        beating = asyncio.create_task(directory.heartbeat())
        await asyncio.sleep(0)  # the heartbeat knows whom it renews, and is under way
    assert await directory.close(CALL)
    has_ended.set()
    await beating
    assert await directory.find(CALL) is None and await directory.count() == 0


NEWER = session_format.NEWEST_READ + 1


async def test_of_two_who_saw_the_same_owner_one_takes_the_session_over(
    broker: RedisBroker, directory: SessionDirectory, manual_clock: ManualClock
) -> None:
    await directory.open(CALL, {"agent": "delivery"}, owner="first")
    peers = [SessionDirectory(broker.connection, broker.subscriber, clock=manual_clock) for _ in range(2)]
    seen = await peers[0].find(CALL)
    assert seen is not None
    taken = [await peer.take_over(CALL, seen, owner=f"peer {at}") for at, peer in enumerate(peers)]
    assert taken == [True, False]
    assert (await directory.find(CALL) or {})[OWNER] == "peer 0"


async def test_the_heartbeat_of_a_former_owner_writes_nothing_and_notices_the_loss(
    broker: RedisBroker, directory: SessionDirectory, manual_clock: ManualClock
) -> None:
    lost: list[tuple[SessionRef, str]] = []
    directory.on_lost = lambda session, owner: lost.append((session, owner))
    await directory.open(CALL, {"agent": "delivery"}, owner="first")
    peer = SessionDirectory(broker.connection, broker.subscriber, clock=manual_clock)
    assert await peer.take_over(CALL, await peer.find(CALL) or {}, owner="second")
    await directory.heartbeat()
    assert (await peer.find(CALL) or {})[OWNER] == "second"
    assert lost == [(CALL, "first")]


async def test_a_session_that_became_newer_after_it_was_seen_is_not_taken(
    broker: RedisBroker, directory: SessionDirectory, manual_clock: ManualClock, store_url: str
) -> None:
    await directory.open(CALL, {"agent": "delivery"}, owner="first")
    peer = SessionDirectory(broker.connection, broker.subscriber, clock=manual_clock)
    seen = await peer.find(CALL)
    assert seen is not None
    with looking_into(store_url) as redis:
        redis.hset(keys.session_hash(CALL), FORMAT, NEWER)
        before = redis.hgetall(keys.session_hash(CALL))
        with pytest.raises(NewerFormat) as refused:
            await peer.take_over(CALL, seen, owner="second")
        assert (refused.value.found, refused.value.newest_read) == (NEWER, session_format.NEWEST_READ)
        assert redis.hgetall(keys.session_hash(CALL)) == before
        await peer.heartbeat()
        assert redis.hget(keys.session_hash(CALL), OWNER) == "first"
    with pytest.raises(NewerFormat):
        await SessionLog(broker.connection).read(CALL)


async def test_the_format_of_a_session_never_falls(
    directory: SessionDirectory, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await directory.open(CALL, {}, owner="first")
    with looking_into(store_url) as redis:
        redis.hset(keys.session_hash(CALL), FORMAT, 5)
        monkeypatch.setattr(session_format, "NEWEST_READ", 5)
        seen = {**(await directory.find(CALL) or {}), FORMAT: "1"}
        assert await directory.take_over(CALL, seen, owner="second")
        await directory.heartbeat()
        assert redis.hget(keys.session_hash(CALL), FORMAT) == "5"


async def test_the_format_is_shown_to_gateways_alone(directory: SessionDirectory) -> None:
    await directory.open(CALL, {"agent": "delivery"})
    assert format_of(await directory.find(CALL) or {}) == session_format.WRITTEN
    assert FORMAT not in (await directory.get(CALL) or {})


async def test_a_janitor_leaves_an_expired_session_of_a_newer_version_until_no_gateway_can_go_on_with_it(
    broker: RedisBroker, directory: SessionDirectory, manual_clock: ManualClock, store_url: str
) -> None:
    await directory.open(CALL, {})
    await append(broker, b"opened")
    manual_clock.advance(keys.SESSION_TTL_S + keys.SESSION_HEARTBEAT_S)
    janitor = Janitor(directory, broker)
    with looking_into(store_url) as redis:
        redis.hset(keys.session_hash(CALL), mapping={FORMAT: NEWER, UNTIL: manual_clock.wall_s() + 1.0})
        assert await janitor.sweep() == 0
        assert redis.exists(keys.session_hash(CALL)) and redis.xlen(keys.log(CALL)) == 1
        assert await directory.expired() == [CALL]
        manual_clock.advance(1.0)
        assert await janitor.sweep() == 1
        assert not redis.exists(keys.log(CALL))


@pytest.mark.requirement("A1.3")
async def test_a_session_whose_heartbeats_stop_is_over_after_30_s_though_its_keys_stand(
    directory: SessionDirectory, manual_clock: ManualClock, store_url: str
) -> None:
    await directory.open(CALL, {"agent": "delivery"})
    manual_clock.advance(keys.SESSION_TTL_S - 1)
    assert await directory.get(CALL) == {"tenant_id": "acme", "agent": "delivery"}
    manual_clock.advance(1)
    with looking_into(store_url) as redis:
        assert await directory.find(CALL) is None and redis.ttl(keys.session_hash(CALL)) == -1
        redis.expire(keys.session_hash(CALL), keys.SESSION_TTL_S)  # as a heartbeat of an earlier version does
        assert await directory.find(CALL) is not None
    await directory.heartbeat()
    assert await directory.find(CALL) is not None
    await directory.close(CALL)


async def test_keys_that_belong_to_no_session_any_more_get_a_time_to_live(
    broker: RedisBroker, directory: SessionDirectory, store_url: str
) -> None:
    gone = SessionRef("acme", "sess_gone")
    for session in (CALL, gone):
        await directory.open(session, {})
        await broker.dispatch([AppendLog(session, b"said"), Submit(Job("job_1", JobKind.LLM, session, b"", 0.0))])
    await directory.close(gone)  # and its process died before it deleted the rest
    leaked = LeakedKeys(broker.connection)
    assert (await leaked.expire(), await leaked.expire()) == (3, 0)
    with looking_into(store_url) as redis:
        of_session = {key: redis.ttl(key) > 0 for key in redis.scan_iter() if keys.session_of(key) is not None}
    assert {key for key, expires in of_session.items() if expires} == {key for key in of_session if "gone" in key}
    await broker.forget(CALL)
    await directory.close(CALL)
    for claim in await broker.claim(JobKind.LLM, "w", slots=9, wait_s=0):
        await broker.release(claim)


async def test_keys_that_an_earlier_version_wrote_become_lasting_when_the_session_writes(
    broker: RedisBroker, directory: SessionDirectory, store_url: str
) -> None:
    await directory.open(CALL, {}, owner="g1")
    write: list[Dispatch] = [AppendLog(CALL, b"said"), Submit(Job("job_1", JobKind.LLM, CALL, b"", 0.0))]
    await broker.dispatch(write, owner="g1")
    with looking_into(store_url) as redis:
        written = [keys.session_hash(CALL), keys.log(CALL), keys.jobs(CALL)]
        for key in written:
            redis.expire(key, 3_900)
        write[1] = Submit(Job("job_2", JobKind.LLM, CALL, b"", 0.0))
        await broker.dispatch(write, owner="g1")
        await directory.heartbeat()
        assert [redis.ttl(key) for key in written] == [-1, -1, -1]
    await broker.forget(CALL)
    await directory.close(CALL)
    for claim in await broker.claim(JobKind.LLM, "w", slots=9, wait_s=0):
        await broker.release(claim)
