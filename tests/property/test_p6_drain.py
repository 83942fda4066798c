"""P6: a gateway that is told to stop ends or hands over every call with its closing events, and leaves nothing in the store.

How long it takes (30 s are allowed) is measured by `benchmarks/properties.py` in the same world.
"""

import asyncio
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.kit.draining import DOING, Who, draining
from tests.kit.gateway import gateway
from tests.kit.property_search import emptied, examples

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.gateway import role
from agentvoicebox.gateway.call.call import Call
from agentvoicebox.gateway.call.socket import Writer

pytestmark = pytest.mark.requirement("A4.2")

CALLERS = st.lists(st.tuples(st.sampled_from(DOING), st.booleans()), max_size=5)
ONE_OF_EACH: list[Who] = [("nothing", False), ("speaks", False), ("listens", False), ("listens", True)]


@pytest.fixture(autouse=True)
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who is still speaking is waited for, but not long."""
    monkeypatch.setattr(role, "DRAIN_TIMEOUT_S", 1.0)


async def play(url: str, callers: list[Who]) -> None:
    async with draining(emptied(url)) as (world, broker):
        await world.stop(gateway(broker), callers)


@examples(6)
@given(callers=CALLERS)
@example(callers=ONE_OF_EACH)
def test_p6_a_gateway_that_stops_cuts_no_call_and_leaves_nothing(redis_url: str, callers: list[Who]) -> None:
    asyncio.run(play(redis_url, callers))


# -- the property catches drains that are broken ---------------------------------------------------------------------


def _at_once(self: Call) -> None:
    self.drop()


def _without_a_word(self: Writer, code: int, reason: str) -> None:
    pass


async def _forgetful(self: RedisBroker, session: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("what", "name", "broken", "wrong"),
    [
        (Call, "hand_over", _at_once, "never ended"),
        (Writer, "close", _without_a_word, "was cut|never ended|are left|left behind"),
        (RedisBroker, "forget", _forgetful, "left behind"),
    ],
    ids=["dropped-at-once", "no-close", "keys-stay"],
)
def test_a_broken_drain_is_caught(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, what: type, name: str, broken: Any, wrong: str
) -> None:
    monkeypatch.setattr(what, name, broken)
    with pytest.raises(AssertionError, match=wrong):
        asyncio.run(play(redis_url, ONE_OF_EACH))
    emptied(redis_url)
