"""How the ten properties (P1 to P10) are searched: bounded, on an emptied store.

A world plays a script against the real thing and fails by AssertionError when the property does not hold; so a test of a broken
mechanism asks the same world. Waits are bounded by `waiting.PATIENCE_S`, which only keeps a broken world from hanging.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from hypothesis import HealthCheck, settings
from redis import Redis

from agentvoicebox.broker.redis_streams import RedisBroker
from tests.kit.waiting import FACTOR

NO_PATIENCE_S = 1.5 * FACTOR  # for what is broken on purpose: long enough for what works


def examples(count: int) -> settings:
    """So many of them, drawn as the profile of `tests/conftest.py` says."""
    return settings(
        max_examples=count,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def emptied(redis_url: str) -> str:
    """The store without what the last example left."""
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    return redis_url


@contextlib.asynccontextmanager
async def brokers(redis_url: str, count: int, **options: Any) -> AsyncIterator[list[RedisBroker]]:
    """As many processes would have: each with lines of its own to the store."""
    made = [RedisBroker(redis_url, **options) for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            await each.close()
