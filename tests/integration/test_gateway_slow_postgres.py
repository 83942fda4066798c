"""A PostgreSQL that is locked, not away: who gets in meanwhile, who gets a clear refusal, and that open calls don't notice."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.kit.client import calling
from tests.kit.gateway import Workers
from tests.kit.kits import migrate
from tests.kit.resuming_client import reconnected, refusal, return_query
from tests.kit.tenant_gateway import CONFIGURED, TenantGateway, as_key, tenant_gateway
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.storage import postgres as module
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.key_format import new_key
from agentvoicebox.tenancy.last_answers import FRESH_S, MAX_AGE_S, POSTGRES_WAIT_S

pytestmark = pytest.mark.requirement("A12.1")

TEXT = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "where is my parcel"}]}


@pytest.fixture
async def slow_town(
    redis_broker: RedisBroker,
    workers: Workers,
    postgres_url: str,
    manual_clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[TenantGateway]:
    """A gateway whose queries never time out by themselves, so that what is answered was not waited for."""
    monkeypatch.setattr(module, "COMMAND_TIMEOUT_S", 10 * PATIENCE_S)
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 10 * PATIENCE_S)
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url, most_connections=3)
    await postgres.check()  # the first connection is there
    async with tenant_gateway(redis_broker, postgres, manual_clock, wait_s=POSTGRES_WAIT_S) as made:
        yield made
    await postgres.close()


async def test_a_locked_postgres_keeps_no_known_key_out_and_refuses_the_others_clearly(
    slow_town: TenantGateway, postgres_url: str
) -> None:
    town = slow_town
    seen, unseen = await town.key(), await town.key()
    locking = await asyncpg.connect(postgres_url)
    async with (
        calling(town.url("model=delivery&resume=1"), **as_key(seen.text)) as open_call,
        locking.transaction(),
        asyncio.timeout(PATIENCE_S),
    ):
        await locking.execute("LOCK TABLE api_keys, tenants, projects, audit_logs IN ACCESS EXCLUSIVE MODE")
        town.clock.advance(FRESH_S)
        for known in (CONFIGURED, seen.text, seen.text):
            async with calling(town.url(), **as_key(known)):
                pass
        for unknown in (unseen.text, new_key().text):
            error, code, _ = await refusal(town.url(), **as_key(unknown))
            assert (error["code"], code) == ("storage_lost", 1013)
            async with town.http(unknown) as http:
                answer = await http.get("/v1/models")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_lost")
        await open_call.send("conversation.item.create", item=TEXT)
        await open_call.send("response.create")
        assert (await open_call.until("response.done"))["response"]["status"] == "completed"
        open_call.ws.transport.abort()
        async with reconnected(town.url(return_query(open_call)), open_call, **as_key(seen.text)) as open_call:
            assert (await open_call.next())["type"] == "agentvoicebox.resumed"
            await open_call.ws.close(1000)
        town.clock.advance(MAX_AGE_S - FRESH_S)
        error, code, _ = await refusal(town.url(), **as_key(seen.text))
        assert (error["code"], code) == ("storage_lost", 1013), "what is known is a minute old"
        async with calling(town.url(), **as_key(CONFIGURED)):
            pass
    async with calling(town.url(), **as_key(unseen.text)):
        pass
    await locking.close()
