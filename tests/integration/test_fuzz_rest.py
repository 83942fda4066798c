"""Requests made from each OpenAPI document, valid and damaged: no failure of the server, and answers as the document says."""

import asyncio
import random
from collections import Counter

import httpx
import pytest
from tests.kit.openapi import Document
from tests.kit.reference import openapi
from tests.kit.tenant_gateway import CONFIGURED, TenantGateway
from tests.kit.webhook import UPS, Backend, parcel, server_over

from agentvoicebox.tenancy.key_format import key_id, new_key
from agentvoicebox.webhook.app import create_app as create_webhook_app
from agentvoicebox.webhook.internal import create_internal_app
from agentvoicebox_delivery.internal_routes import internal_router

ATTEMPTS = 25  # of each operation and seed
SECRET = "a-secret-of-some-length"
KNOWN = {"x-vapi-secret": SECRET}


async def send_all(
    client: httpx.AsyncClient, document: Document, seed: int, known: dict[str, list[str]]
) -> tuple[list[str], Counter[int]]:
    """Attempts at each operation in turn: what was wrong, and how often each status came.

    A status that the client causes and that the document tells of, but that never came, is wrong, too.
    """
    chance = random.Random(seed)
    wrong: list[str] = []
    statuses: Counter[int] = Counter()
    promised = {(each.operation_id, status) for each in document.operations for status in each.caused_by_clients()}
    for _ in range(ATTEMPTS):
        for operation in document.operations:
            attempt = document.attempt(chance, operation, known)
            answer = await client.request(
                operation.method.upper(), attempt.url, content=attempt.body, headers=attempt.headers
            )
            statuses[answer.status_code] += 1
            wrong += document.faults_of(operation, answer)
            promised.discard((operation.operation_id, answer.status_code))
    return [*wrong, *(f"{name} was never answered with {status}" for name, status in sorted(promised))], statuses


@pytest.mark.requirement("A18")
@pytest.mark.parametrize("seed", [1, 2])
async def test_the_administration_answers_every_request_as_its_document_says(town: TenantGateway, seed: int) -> None:
    document = Document(openapi.documents()[openapi.ADMIN])
    key = new_key()
    await town.keys.create("default", key, scopes=("admin",))
    theirs = await town.key("acme")
    known = {"tenant_id": ["acme"], "project_id": ["p", "Not an id"], "key_id": ["key_none", key_id(theirs.prefix)]}
    async with town.http(key.text) as operator:
        wrong, statuses = await send_all(operator, document, seed, known)
    assert wrong == []
    assert {200, 400, 404} <= statuses.keys(), statuses
    assert statuses[200] > 50, statuses


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_gateway_answers_every_request_as_its_document_says(town: TenantGateway, seed: int) -> None:
    document = Document(openapi.documents()[openapi.GATEWAY])
    async with town.http(CONFIGURED) as client:
        wrong, statuses = await send_all(client, document, seed, {})
    assert wrong == []
    assert {200, 400, 404} <= statuses.keys(), statuses


@pytest.mark.requirement("A12.4")
@pytest.mark.parametrize("seed", [1, 2])
async def test_the_webhook_server_answers_every_request_as_its_document_says(seed: int) -> None:
    async with server_over(Backend(parcel()), vapi_secrets=SECRET, vapi_bearer_tokens=SECRET) as (server, look_up):
        public = create_webhook_app(server)
        internal = create_internal_app((look_up,), (internal_router(look_up),), server.metrics, asyncio.Event())
        for app in (public, internal):
            document = Document(app.openapi())
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 5))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=KNOWN) as client:
                wrong, statuses = await send_all(client, document, seed, {"tracking_id": [UPS]})
            assert wrong == []
            assert 200 in statuses, statuses


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"session":' + b"[" * 5_000 + b"]" * 5_000 + b"}", b'{"a": "\xff"}']
)
async def test_a_body_that_can_not_be_read_is_refused_as_documented(town: TenantGateway, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    key = new_key()
    await town.keys.create("default", key, scopes=("admin",))
    async with town.http(CONFIGURED) as client:
        minted = await client.post("/v1/realtime/client_secrets", content=body, headers=headers)
    async with town.http(key.text) as operator:
        created = await operator.post("/v1/admin/tenants", content=body[:9_000], headers=headers)
    for answer in (minted, created):
        assert answer.status_code == 400, answer.text
        assert sorted(answer.json()["error"]) == ["code", "message", "param", "type"]
