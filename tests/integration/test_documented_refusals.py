"""What every route of the gateway answers to a wrong key, to a key without the right, to a long body and beyond a limit."""

import httpx
import pytest
from tests.kit.gateway import Workers
from tests.kit.openapi import Document, Operation
from tests.kit.reference import openapi
from tests.kit.tenant_gateway import TenantGateway, bearer, tenant_gateway

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.key_format import new_key

pytestmark = pytest.mark.requirement("A18")

DOCUMENTS = [Document(openapi.documents()[name]) for name in (openapi.GATEWAY, openapi.ADMIN)]
KEYED = [
    (document, each) for document in DOCUMENTS for each in document.operations if each.described.get("security") != []
]


async def ask(client: httpx.AsyncClient, operation: Operation, key: str, body: bytes | None = None) -> httpx.Response:
    """One request for an operation, whatever its parameters name."""
    path = operation.path.replace("{", "").replace("}", "")
    headers = {**(bearer(key) if key else {}), "content-type": "application/json"}
    return await client.request(operation.method.upper(), path, headers=headers, content=body)


async def check(town: TenantGateway, key: str, status: int, *, only_admin: bool = False) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{town.served.port}", trust_env=False) as client:
        for document, operation in KEYED:
            if only_admin and "/admin/" not in operation.path:
                continue
            answer = await ask(client, operation, key)
            assert answer.status_code == status, (operation.method, operation.path, answer.text)
            assert document.faults_of(operation, answer) == []


@pytest.mark.parametrize("key", ["", "a-wrong-key"])
async def test_a_missing_or_wrong_key_is_answered_as_documented(town: TenantGateway, key: str) -> None:
    await check(town, key, 401)


async def test_a_key_without_the_right_is_answered_as_documented(town: TenantGateway) -> None:
    await check(town, (await town.key()).text, 403, only_admin=True)


async def test_the_key_of_a_suspended_tenant_is_answered_as_documented(town: TenantGateway) -> None:
    key = new_key()
    await town.keys.create("acme", key, scopes=("realtime", "client_secrets", "admin"))
    await town.keys.suspend("acme")
    await check(town, key.text, 403)


async def test_a_long_body_is_answered_as_documented(town: TenantGateway) -> None:
    key = new_key()
    await town.keys.create("default", key, scopes=("realtime", "client_secrets", "admin"))
    asked = 0
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{town.served.port}", trust_env=False) as client:
        for document, operation in KEYED:
            if "413" in operation.described["responses"] and "audio" not in operation.path:
                answer = await ask(client, operation, key.text, b"x" * 300_000)
                assert answer.status_code == 413, (operation.method, operation.path, answer.text)
                assert document.faults_of(operation, answer) == []
                asked += 1
    assert asked > 15


async def test_a_request_beyond_a_limit_is_answered_as_documented(
    redis_broker: RedisBroker, workers: Workers, postgres_url: str, manual_clock: ManualClock
) -> None:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url, most_connections=3)
    limits = LimitConfig(key=Allowance(requests=1, window_s=3600))
    async with tenant_gateway(redis_broker, postgres, manual_clock, limits=limits) as town:
        key = new_key()
        await town.keys.create("default", key, scopes=("realtime", "client_secrets", "admin"))
        async with town.http(key.text) as client:
            assert (await client.get("/v1/voices")).status_code == 200
        await check(town, key.text, 429)
    await postgres.close()
