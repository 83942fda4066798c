"""Fixtures for tests that need a real gateway over a real Valkey."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import numpy as np
import pytest
from tests.kit.audio_requests import left_in
from tests.kit.gateway import Gateway, Workers, gateway
from tests.kit.kits import migrate
from tests.kit.sound_files import file_of
from tests.kit.speech import catalogue, spoken_by
from tests.kit.tenant_gateway import TenantGateway, tenant_gateway

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.providers.registry import build_tts
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres


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
async def no_request_is_left(redis_url: str) -> AsyncIterator[None]:
    """However a request to `/v1/audio` ends, its keys are deleted; fences of records outlive it."""
    yield
    assert left_in(redis_url) == []


@pytest.fixture(scope="session")
def recording() -> bytes:
    """A WAV file: two sentences with a pause of two seconds."""
    tts = build_tts(["espeak"], catalogue())
    first = spoken_by(tts, "The first sentence is about the weather.")
    second = spoken_by(tts, "The second one is about the news.")
    return file_of(np.concatenate((first, np.zeros(48_000, np.int16), second)))


@pytest.fixture
async def served(redis_broker: RedisBroker, workers: Workers) -> AsyncIterator[Gateway]:
    """A gateway on a free port, any key let in."""
    async with gateway(redis_broker) as made:
        yield made


@pytest.fixture
async def town(
    redis_broker: RedisBroker, workers: Workers, postgres_url: str, manual_clock: ManualClock
) -> AsyncIterator[TenantGateway]:
    """A gateway over a database with tenants."""
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url, most_connections=3)
    async with tenant_gateway(redis_broker, postgres, manual_clock) as made:
        yield made
    await postgres.close()


@pytest.fixture(scope="session")
def tables_url(postgres_server: EmbeddedPostgres) -> str:
    """A database with every table, once a session; use `records_url`."""
    url = postgres_server.url.replace("/agentvoicebox?", "/records?")

    async def make() -> None:
        owner = await asyncpg.connect(postgres_server.owner_url)
        try:
            await owner.execute("CREATE DATABASE records OWNER agentvoicebox")
        finally:
            await owner.close()
        await migrate(url)

    asyncio.run(make())
    return url


@pytest.fixture
async def records_url(tables_url: str, postgres_server: EmbeddedPostgres) -> str:
    """A database with every table and no row; far sooner there than one that is made and migrated for a single test."""
    owner = await asyncpg.connect(postgres_server.owner_url.replace("/postgres?", "/records?"))
    try:
        tables = (
            "sessions",
            "conversation_items",
            "responses",
            "turns",
            "call_audio",
            "audit_logs",
            "usage_entries",
            "event_destinations",
            "events",
            "event_deliveries",
            "event_lanes",
            "event_batches",
            "tenants",
        )
        await owner.execute("".join(f"DELETE FROM {table};" for table in tables))
    finally:
        await owner.close()
    return tables_url


@pytest.fixture
async def postgres(records_url: str) -> AsyncIterator[Postgres]:
    """PostgreSQL with every table and no row."""
    made = await Postgres.open(records_url)
    yield made
    await made.close()
