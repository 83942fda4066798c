"""Fixtures for tests that need a real gateway over a real Valkey."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.kit.gateway import Gateway, Workers, gateway
from tests.kit.town import Town, town_of

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres


@pytest.fixture
async def redis_broker(redis_url: str) -> AsyncIterator[RedisBroker]:
    """A broker over an empty Valkey."""
    made = RedisBroker(redis_url)
    yield made
    await made.close()


@pytest.fixture
async def workers(redis_url: str) -> AsyncIterator[Workers]:
    """Instant workers of every kind, with a line to the store of their own, as in another process."""
    broker = RedisBroker(redis_url)
    made = Workers(broker)
    stop = asyncio.Event()
    running = asyncio.create_task(made.run(stop), name="test workers")
    yield made
    stop.set()
    await running
    await broker.close()


@pytest.fixture
async def served(redis_broker: RedisBroker, workers: Workers) -> AsyncIterator[Gateway]:
    """A gateway on a free port, any key let in."""
    async with gateway(redis_broker) as made:
        yield made


@pytest.fixture
async def town(
    redis_broker: RedisBroker, workers: Workers, postgres_url: str, manual_clock: ManualClock
) -> AsyncIterator[Town]:
    """A gateway over a database with tenants."""
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url, most_connections=3)
    async with town_of(redis_broker, postgres, manual_clock) as made:
        yield made
    await postgres.close()
