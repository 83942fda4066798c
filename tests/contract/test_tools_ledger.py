"""The book of side effects, whatever it is written on: the same suite over memory and over a real Valkey."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from tests.kit.memory_ledger import MemoryLedger

from agentvoicebox.broker import keys
from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.tools.ledger import CallKey, Ledger, RedisLedger

CALL = SessionRef("acme", "sess_1")
KEY = CallKey(CALL, "call_1", "book", '{"at":"10:00","who":"Ann"}', "resp_1")
TWIN = msgspec.structs.replace(KEY, call_id="call_2", arguments='{ "who": "Ann", "at": "10:00" }')


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "redis_url", "cluster_url"], ids=["memory", "valkey", "cluster"])
async def ledger(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger(clock=clock)
        return
    broker = RedisBroker(request.getfixturevalue(request.param))
    yield RedisLedger(broker.connection, clock=clock)
    await broker.close()


async def begin(ledger: Ledger, clock: ManualClock, key: CallKey = KEY) -> tuple[bool, str, str | None]:
    entry = await ledger.begin(key, clock.wall_s() + 5)
    return entry.is_new, entry.call, entry.output


async def test_the_first_may_begin_and_a_second_worker_may_not(ledger: Ledger, clock: ManualClock) -> None:
    assert await begin(ledger, clock) == (True, KEY.call, None)
    assert await begin(ledger, clock) == (False, KEY.call, None)


async def test_of_many_at_once_one_begins(ledger: Ledger, clock: ManualClock) -> None:
    got = await asyncio.gather(*(begin(ledger, clock) for _ in range(20)))
    assert sum(is_new for is_new, _, _ in got) == 1


async def test_a_second_worker_is_told_until_when_to_wait(ledger: Ledger, clock: ManualClock) -> None:
    until_s = clock.wall_s() + 5
    await ledger.begin(KEY, until_s)
    clock.advance(3)
    assert (await ledger.begin(KEY, clock.wall_s() + 5)).until_s == pytest.approx(until_s)


async def test_what_it_returned_is_known_to_all_and_the_first_word_stands(ledger: Ledger, clock: ManualClock) -> None:
    await begin(ledger, clock)
    assert await ledger.output(CALL, KEY.call) is None
    await ledger.finish(CALL, KEY.call, '{"booked":"ü"}')
    await ledger.finish(CALL, KEY.call, "another")
    assert await ledger.output(CALL, KEY.call) == '{"booked":"ü"}'
    assert await begin(ledger, clock) == (False, KEY.call, '{"booked":"ü"}')
    clock.advance(1000)
    assert await begin(ledger, clock) == (False, KEY.call, '{"booked":"ü"}')


async def test_a_call_that_was_begun_is_never_free_again_even_when_its_time_is_over(
    ledger: Ledger, clock: ManualClock
) -> None:
    await begin(ledger, clock)
    clock.advance(1000)
    assert await begin(ledger, clock) == (False, KEY.call, None)


async def test_the_same_call_repeated_in_one_response_is_the_first_one(ledger: Ledger, clock: ManualClock) -> None:
    await begin(ledger, clock)
    assert await begin(ledger, clock, TWIN) == (False, KEY.call, None)
    await ledger.finish(CALL, KEY.call, "booked")
    clock.advance(1000)
    assert await begin(ledger, clock, TWIN) == (False, KEY.call, "booked")


async def test_another_response_joins_what_is_under_way_and_acts_anew_after_it(
    ledger: Ledger, clock: ManualClock
) -> None:
    later = msgspec.structs.replace(TWIN, response_id="resp_2")
    await begin(ledger, clock)
    assert await begin(ledger, clock, later) == (False, KEY.call, None)
    await ledger.finish(CALL, KEY.call, "booked")
    assert await begin(ledger, clock, later) == (True, later.call, None)
    assert await begin(ledger, clock) == (False, KEY.call, "booked")


async def test_another_response_does_not_wait_for_the_dead(ledger: Ledger, clock: ManualClock) -> None:
    await begin(ledger, clock)
    clock.advance(6)
    later = msgspec.structs.replace(TWIN, response_id="resp_2")
    assert (await begin(ledger, clock, later))[0]


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(KEY, call_id="call_2", arguments='{"at":"11:00","who":"Ann"}'),
        msgspec.structs.replace(KEY, call_id="call_2", name="cancel"),
        msgspec.structs.replace(KEY, session=SessionRef("acme", "sess_2")),
        msgspec.structs.replace(KEY, session=SessionRef("umbra", "sess_1")),
        msgspec.structs.replace(KEY, arguments='{"at":"11:00","who":"Ann"}'),
    ],
)
async def test_anything_else_is_a_call_of_its_own(ledger: Ledger, clock: ManualClock, other: CallKey) -> None:
    await begin(ledger, clock)
    assert (await begin(ledger, clock, other))[0]


async def test_odd_ids_and_arguments_do_no_harm(ledger: Ledger, clock: ManualClock) -> None:
    for odd in ("", "a b", "{x}/y", "\ud800", "[" * 50_000):
        key = CallKey(CALL, odd, odd[:64], odd, odd[:64])
        assert (await begin(ledger, clock, key))[0]
        assert not (await begin(ledger, clock, key))[0]


async def test_a_beginning_whose_answer_was_lost_is_still_ones_own(store_url: str, clock: ManualClock) -> None:
    broker = RedisBroker(store_url)
    ledger = RedisLedger(broker.connection, clock=clock)
    script = ledger._begin

    async def answers_late(*args: object) -> object:
        """The line breaks after the server has done the work: the command is sent again."""
        await script(*args)  # type: ignore[arg-type]
        return await script(*args)  # type: ignore[arg-type]

    ledger._begin = answers_late  # type: ignore[assignment]
    assert (await begin(ledger, clock))[0]
    await broker.close()


async def test_the_book_outlives_its_session_for_a_while_and_no_longer(store_url: str, clock: ManualClock) -> None:
    broker = RedisBroker(store_url)
    ledger = RedisLedger(broker.connection, clock=clock)
    await begin(ledger, clock)
    await broker.forget(CALL)
    await ledger.finish(CALL, KEY.call, "booked")
    assert 0 < await broker.connection.commands.ttl(keys.effects(CALL)) <= keys.SESSION_DATA_TTL_S
    assert await ledger.output(CALL, KEY.call) == "booked"
    await broker.close()
