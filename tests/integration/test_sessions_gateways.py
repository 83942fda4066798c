"""Gateways know of each other, on either kind of store, until their heartbeats stop."""

from collections.abc import AsyncIterator

import pytest

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection
from agentvoicebox.clock import ManualClock
from agentvoicebox.sessions.gateways import GatewayDirectory, GatewayLine
from agentvoicebox.sessions.store_time import GivenTime

pytestmark = pytest.mark.requirement("A1.1")


@pytest.fixture
async def connection(store_url: str) -> AsyncIterator[Connection]:
    made = Connection(store_url)
    yield made
    await made.close()


def gateway(connection: Connection, clock: ManualClock, name: str, calls: int = 0) -> GatewayDirectory:
    line = GatewayLine(name, "1.0", calls, 24, is_draining=False)
    return GatewayDirectory(connection, lambda: line, time=GivenTime(clock))


async def names(gateway: GatewayDirectory) -> list[str]:
    return [line.gateway_id for line in await gateway.read()]


async def test_each_gateway_sees_all_until_they_leave(connection: Connection, manual_clock: ManualClock) -> None:
    one, two = gateway(connection, manual_clock, "gw_1", calls=3), gateway(connection, manual_clock, "gw_2")
    assert await one.read() == []
    await one.announce()
    await two.announce()
    seen = await two.read()
    assert [(line.gateway_id, line.calls, line.max_calls) for line in seen] == [("gw_1", 3, 24), ("gw_2", 0, 24)]
    assert seen[0].at_s == manual_clock.wall_s()
    await two.leave()
    assert await names(one) == ["gw_1"]


async def test_a_gateway_that_died_is_seen_no_more_and_leaves_nothing(
    connection: Connection, manual_clock: ManualClock
) -> None:
    one, two = gateway(connection, manual_clock, "gw_1"), gateway(connection, manual_clock, "gw_2")
    await one.announce()
    await two.announce()
    manual_clock.advance(keys.SESSION_TTL_S)
    assert await names(two) == []
    await two.announce()
    assert await names(two) == ["gw_2"]
    assert await connection.commands.hkeys(keys.GATEWAYS) == [b"gw_2"]
    assert 0 < await connection.commands.ttl(keys.GATEWAYS) <= keys.SESSION_TTL_S


async def test_a_damaged_line_hides_no_other_and_goes_with_the_next_heartbeat(
    connection: Connection, manual_clock: ManualClock
) -> None:
    one = gateway(connection, manual_clock, "gw_1")
    await one.announce()
    await connection.commands.hset(keys.GATEWAYS, "odd", b"\xff{")
    assert await names(one) == ["gw_1"]
    await one.announce()
    assert await connection.commands.hkeys(keys.GATEWAYS) == [b"gw_1"]
