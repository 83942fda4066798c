"""The door of a real gateway over real sockets: stored keys, ephemeral secrets, rotation, and refusals that leave nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI
from tests.kit.client import WAIT_S, calling
from tests.kit.gateway import Gateway, Workers, gateway
from tests.kit.returning import back, refusal, return_query, session_id

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.key_format import NewKey, new_key

CONFIGURED = "a-configured-key"


class Town:
    """A gateway over a database with tenants.

    Attributes:
        clock: by which keys end and standings grow old; the calls' own is the system's.
    """

    def __init__(self, served: Gateway, keys: ApiKeys, clock: ManualClock) -> None:
        self.served = served
        self.keys = keys
        self.clock = clock

    async def key(self, tenant: str = "acme") -> NewKey:
        key = new_key()
        await self.keys.create(tenant, key)
        return key

    def url(self, query: str = "model=delivery") -> str:
        return self.served.url(query)

    def openai(self, key: str) -> AsyncOpenAI:
        return AsyncOpenAI(api_key=key, base_url=f"http://127.0.0.1:{self.served.port}/v1", max_retries=0)

    def http(self, key: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.served.port}", headers=bearer(key))


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def as_key(key: str) -> dict[str, Any]:
    return {"additional_headers": bearer(key)}


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Postgres]:
    await migrate(postgres_url)
    made = await Postgres.open(postgres_url, most_connections=3)
    yield made
    await made.close()


@pytest.fixture
async def town(
    redis_broker: RedisBroker, workers: Workers, postgres: Postgres, manual_clock: ManualClock
) -> AsyncIterator[Town]:
    options = {"postgres": postgres, "ask_every_s": 0.02, "clock": manual_clock}
    async with gateway(redis_broker, api_keys=(CONFIGURED,), reception=options) as served:
        yield Town(served, ApiKeys(postgres, clock=manual_clock), manual_clock)


async def test_a_stored_key_opens_a_session_of_its_own_tenant(town: Town) -> None:
    key = await town.key()
    async with calling(town.url(), **as_key(key.text)) as client:
        (session,) = await town.served.house.directory.live()
        assert (session.tenant_id, session.session_id) == ("acme", session_id(client))
        await client.send("response.create")
        assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_both_keys_of_a_rotation_open_and_go_on_with_a_session_until_the_old_one_is_over(town: Town) -> None:
    old, new = await town.key(), new_key()
    async with calling(town.url("model=delivery&resume=1"), **as_key(old.text)) as client:
        await town.keys.rotate("acme", old.prefix, new, grace_s=3600)
        client.ws.transport.abort()
    async with back(town.url(return_query(client)), client, **as_key(new.text)) as client:
        assert (await client.next())["type"] == "agentvoicebox.resumed"
        client.ws.transport.abort()
    town.clock.advance(3600)
    error, code, _ = await refusal(town.url(return_query(client)), **as_key(old.text))
    assert (error["code"], code) == ("invalid_api_key", 3000)
    stranger = await town.key()  # of the same tenant
    error, code, _ = await refusal(town.url(return_query(client)), **as_key(stranger.text))
    assert (error["code"], code) == ("session_not_found", 4000)


async def test_the_official_client_mints_a_secret_and_another_connects_with_it(town: Town) -> None:
    server = town.openai((await town.key()).text)
    minted = await server.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."},
    )
    assert minted.value.startswith("ek_") and minted.session.type == "realtime"
    browser = town.openai(minted.value)
    async with browser.realtime.connect(model="gpt-realtime") as connection, asyncio.timeout(WAIT_S):
        created = await connection.recv()
        assert created.type == "session.created" and created.session.type == "realtime"
        assert created.session.instructions == "Be brief."
    (session,) = await town.served.house.directory.live()
    assert session.tenant_id == "acme"
    for each in (server, browser):
        await each.close()
