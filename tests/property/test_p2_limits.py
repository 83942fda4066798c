"""P2: over all gateways, within any window, no more is let through than the limit (5 % over it would still be borne).

Several clients check at the same moments against one real Valkey, at random times and amounts; what was let through is then
counted by an oracle over every window that ends with an admission. Broken scripts must be caught by the same oracle.
"""

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from redis import Redis
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.connection import Connection
from agentvoicebox.clock import ManualClock
from agentvoicebox.limits import redis as limits_redis
from agentvoicebox.limits.allowance import Allowance, Scope
from agentvoicebox.limits.redis import SCRIPT, Limits

pytestmark = pytest.mark.requirement("A2.1-2.4")

GATEWAYS = 4
WINDOW_S = 10.0
BORNE = 1.05

Step = tuple[float, list[tuple[int, int]]]  # seconds since the last step, (gateway, tokens) that come at once
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.05, 0.1, 0.7, 3.3, 5.0, 9.95, 10.0, 10.1, 25.0]),
        st.lists(st.tuples(st.integers(0, GATEWAYS - 1), st.integers(0, 60)), min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=14,
)
LIMIT = st.tuples(st.integers(1, 12), st.integers(1, 150))


async def play(url: str, steps: list[Step], requests: int, tokens: int) -> list[tuple[float, int]]:
    """(when, tokens) of everything that was let through."""
    clock = ManualClock(now_s=1000.0)
    scopes = [
        Scope("global", Allowance(10_000, 1_000_000, WINDOW_S)),
        Scope("tenant", Allowance(requests, tokens, WINDOW_S), "acme"),
    ]
    connections = [Connection(url) for _ in range(GATEWAYS)]
    admitted: list[tuple[float, int]] = []
    try:
        gateways = [Limits(connection, clock=clock, timeout_s=PATIENCE_S) for connection in connections]
        for pause_s, wanted in steps:
            clock.advance(pause_s)
            verdicts = await asyncio.gather(*(gateways[at].check(scopes, tokens=amount) for at, amount in wanted))
            assert not any(verdict.is_local for verdict in verdicts)
            for (_, amount), verdict in zip(wanted, verdicts, strict=True):
                if verdict.allowed:
                    admitted.append((clock.monotonic_s(), amount))
    finally:
        for connection in connections:
            await connection.close()
    return admitted


def judge(admitted: list[tuple[float, int]], requests: int, tokens: int) -> None:
    for end_s, _ in admitted:
        window = [amount for at_s, amount in admitted if end_s - WINDOW_S < at_s <= end_s]
        assert len(window) <= requests * BORNE and sum(window) <= tokens * BORNE, f"{window} within {WINDOW_S} s"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, limit=LIMIT)
def test_p2_no_window_holds_more_than_the_limit(redis_url: str, steps: list[Step], limit: tuple[int, int]) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    judge(asyncio.run(play(redis_url, steps, *limit)), *limit)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("this.amount > 0 and this.total + this.amount > this.limit", "this.amount > 0 and this.total > this.limit"),
        ("local oldest = this.slot - slots", "local oldest = this.slot - math.floor(slots / 2)"),
        ("if this.is_over then fits = false end", ""),
        ("this.total = this.total - (tonumber(taken) or 0)", "this.total = 0"),
        ("math.abs(this.newest - this.slot) > slots", "math.abs(this.newest - this.slot) > 9"),
    ],
    ids=["before-the-amount", "half-a-window", "refusal-forgotten", "old-slot-clears-all", "window-too-short"],
)
def test_a_broken_script_is_caught(redis_url: str, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str) -> None:
    assert right in SCRIPT
    monkeypatch.setattr(limits_redis, "SCRIPT", SCRIPT.replace(right, wrong))

    @settings(
        max_examples=300,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,  # two of them would come as a group
        suppress_health_check=list(HealthCheck),
    )
    @given(steps=STEPS, limit=LIMIT)
    def search(steps: list[Step], limit: tuple[int, int]) -> None:
        with Redis.from_url(redis_url) as redis:
            redis.flushall()
        judge(asyncio.run(play(redis_url, steps, *limit)), *limit)

    with pytest.raises(AssertionError, match="within"):
        search()
