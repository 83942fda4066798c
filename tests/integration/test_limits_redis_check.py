"""Limits in a real Valkey: all or nothing, with honest waits, and a process's own limit while the store is away."""

import asyncio
import math
from collections.abc import AsyncIterator

import pytest
from tests.kit.store import looking_into

from agentvoicebox.broker.connection import Connection
from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import RateLimited
from agentvoicebox.limits.allowance import Allowance, Scope
from agentvoicebox.limits.redis import RETRY_S, Limits

pytestmark = pytest.mark.requirement("A2.1-2.4")

ALL = Scope("global", Allowance(requests=100, tokens=10_000))
ACME = Scope("tenant", Allowance(requests=5, tokens=1000), "acme")
KEY = Scope("key", Allowance(requests=3), "key_1")


@pytest.fixture
async def connection(store_url: str) -> AsyncIterator[Connection]:
    made = Connection(store_url)
    yield made
    await made.close()


async def test_scopes_are_taken_from_together_or_not_at_all(connection: Connection, manual_clock: ManualClock) -> None:
    limits = Limits(connection, clock=manual_clock)
    for _ in range(3):
        assert (await limits.check([ALL, ACME, KEY], tokens=100)).allowed
    refused = await limits.check([ALL, ACME, KEY], tokens=100)
    assert not refused.allowed and refused.limit_name == "key.requests" and not refused.is_local
    left = {state.name: state.remaining for state in refused.limits}
    assert left == {
        "global.requests": 97, "global.tokens": 9700, "tenant.requests": 2, "tenant.tokens": 700, "key.requests": 0
    }  # fmt: skip


async def test_who_waits_as_told_is_let_in_and_not_before(connection: Connection, manual_clock: ManualClock) -> None:
    limits = Limits(connection, clock=manual_clock)
    await limits.check([ACME], tokens=600)
    manual_clock.advance(30)
    await limits.check([ACME], tokens=400)
    refused = await limits.check([ACME], tokens=500)
    assert not refused.allowed and 30 <= refused.retry_after_s <= 30.6 and 60 <= refused.reset_s <= 60.6
    manual_clock.advance(refused.retry_after_s - 0.01)
    assert not (await limits.check([ACME], tokens=500)).allowed
    manual_clock.advance(0.011)
    verdict = await limits.check([ACME], tokens=500)
    assert verdict.allowed and {each.name: each.remaining for each in verdict.to_wire()} == {
        "requests": 3,
        "tokens": 100,
    }


async def test_more_than_the_limit_itself_is_never_promised(connection: Connection, manual_clock: ManualClock) -> None:
    verdict = await Limits(connection, clock=manual_clock).check([ACME], tokens=1001)
    assert not verdict.allowed and math.isinf(verdict.retry_after_s)
    with pytest.raises(RateLimited) as raised:
        verdict.require()
    assert math.isfinite(raised.value.retry_after_s)


async def test_what_was_used_is_charged_beyond_the_limit_and_paid_for_later(
    connection: Connection, manual_clock: ManualClock
) -> None:
    limits = Limits(connection, clock=manual_clock)
    verdict = await limits.charge([ACME], tokens=1500)
    assert verdict.allowed and verdict.remaining == 0
    assert not (await limits.check([ACME], tokens=1)).allowed
    assert (await limits.check([ACME])).allowed, "requests are counted apart"


async def test_tenants_do_not_exhaust_each_other_and_an_override_acts_at_the_next_check(
    connection: Connection, manual_clock: ManualClock
) -> None:
    limits = Limits(connection, clock=manual_clock)
    umbra = Scope("tenant", ACME.allowance, "umbra")
    for _ in range(6):
        await limits.check([ACME])
    assert not (await limits.check([ACME])).allowed and (await limits.check([umbra])).allowed
    assert (await limits.check([Scope("tenant", Allowance(requests=6), "acme")])).allowed


async def test_racing_gateways_share_one_limit_by_the_servers_own_clock(store_url: str) -> None:
    scope = Scope("tenant", Allowance(requests=50, tokens=5000), "acme")
    gateways = [Connection(store_url) for _ in range(3)]
    try:
        all_limits = [Limits(each, timeout_s=30) for each in gateways]
        verdicts = await asyncio.gather(*(limits.check([scope], tokens=10) for limits in all_limits for _ in range(67)))
    finally:
        for each in gateways:
            await each.close()
    assert sum(verdict.allowed for verdict in verdicts) == 50


async def test_all_keys_lie_in_one_slot_of_a_cluster(connection: Connection, store_url: str) -> None:
    await Limits(connection).check([ALL, ACME, KEY])
    with looking_into(store_url) as redis:
        assert all("{limits}" in key for key in redis.scan_iter())
        assert redis.dbsize() == 3, "a measure that nothing is taken of is only looked at"


async def test_without_a_store_a_process_keeps_its_own_count_and_says_so(manual_clock: ManualClock) -> None:
    connection = Connection("redis://127.0.0.1:1/0")
    alarms: list[None] = []
    limits = Limits(connection, clock=manual_clock, peers=2, on_local=lambda: alarms.append(None))
    try:
        verdicts = [await limits.check([ACME]) for _ in range(5)]
    finally:
        await connection.close()
    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False, False], "its half of five, rounded up"
    assert all(verdict.is_local for verdict in verdicts) and len(alarms) == limits.local_answers == 5


async def test_an_outage_gives_nobody_a_fresh_allowance_and_ends_when_the_store_is_back(
    connection: Connection, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(connection, clock=manual_clock)
    for _ in range(4):
        await limits.check([ACME])

    async def lost(*_: object) -> None:
        raise OSError("the line is cut")

    with monkeypatch.context() as cut:
        cut.setattr(limits, "_run", lost)
        assert [(await limits.check([ACME])).allowed for _ in range(2)] == [True, False]
    assert (await limits.check([ACME])).is_local, "the store is not asked again at once"
    manual_clock.advance(RETRY_S)
    assert not (await limits.check([ACME])).is_local
