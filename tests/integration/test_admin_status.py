"""The status of a deployment over REST: who may see it, what is in it, and that ten readers cost as much as one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.kit.client import calling, until
from tests.kit.gateway import Gateway, Workers, gateway
from tests.kit.tenant_gateway import CONFIGURED, TenantGateway

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.ports.broker import Job, JobKind, SessionRef, Submit
from agentvoicebox.sessions.gateways import GatewayDirectory, GatewayLine
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.key_format import NewKey, new_key
from agentvoicebox.tenancy.principal import Right

pytestmark = pytest.mark.requirement("A17")

STATUS = "/v1/admin/status"
LIMITS = LimitConfig(all_tenants=Allowance(requests=100), tenant=Allowance(tokens=5_000), tenant_sessions=7)


@asynccontextmanager
async def asking(served: Gateway, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    base_url = f"http://127.0.0.1:{served.port}"
    async with httpx.AsyncClient(base_url=base_url, headers=headers, trust_env=False) as client:
        yield client


async def status_of(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(STATUS)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    return body


async def key_of(town: TenantGateway, tenant_id: str, *scopes: Right) -> str:
    made = new_key()
    await town.keys.create(tenant_id, made, scopes=scopes)
    return made.text


async def test_only_operators_see_it(town: TenantGateway) -> None:
    refused = [
        (await key_of(town, "acme", "admin"), 403),
        (await key_of(town, "default", "realtime", "client_secrets"), 403),
        (CONFIGURED, 403),
        ("sk-avb-wrong", 401),
    ]
    for shown, code in refused:
        async with town.http(shown) as client:
            assert (await client.get(STATUS)).status_code == code, shown[:12]
    async with asking(town.served) as client:
        assert (await client.get(STATUS)).status_code == 401
    async with town.http(await key_of(town, "default", "admin")) as client:
        assert (await status_of(client))["object"] == "status"


async def test_on_a_server_without_keys_it_is_for_this_machine(redis_broker: RedisBroker) -> None:
    async with gateway(redis_broker) as served:
        async with asking(served) as client:
            assert (await status_of(client))["readiness"]["calls"] == 0
        async with asking(served, origin="https://elsewhere.example") as client:
            assert (await client.get(STATUS)).status_code == 403
        async with asking(served, **{"x-forwarded-for": "192.0.2.1"}) as client:
            assert (await client.get(STATUS)).status_code == 403


async def test_on_a_server_without_keys_a_key_is_still_judged_by_its_own_scopes(
    redis_broker: RedisBroker, postgres_url: str
) -> None:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url, most_connections=2)
    keys = ApiKeys(postgres)
    made: dict[Right, NewKey] = {"realtime": new_key(), "admin": new_key()}
    for scope, key in made.items():
        await keys.create("default", key, scopes=(scope,))
    async with gateway(redis_broker, postgres=postgres) as served:
        async with asking(served, authorization=f"Bearer {made['realtime'].text}") as client:
            assert (await client.get(STATUS)).status_code == 403
        async with asking(served, authorization=f"Bearer {made['admin'].text}", via="1.1 proxy") as client:
            assert (await status_of(client))["object"] == "status"
    await postgres.close()


async def test_it_shows_calls_work_limits_and_gateways(redis_broker: RedisBroker, workers: Workers) -> None:
    lines = GatewayDirectory(redis_broker.connection, lambda: GatewayLine("gw_1", "1.0", 2, 24, is_draining=True))
    await lines.announce()
    session = SessionRef("acme", "sess_1")
    await redis_broker.dispatch([Submit(Job("rec_1", JobKind.RECORD, session, b"x", 0.0))])
    admission = AdmissionConfig(limits=LIMITS)
    async with (
        gateway(redis_broker, admission=admission, gateways=lines, check_interval_s=0.01) as served,
        asking(served) as client,
        calling(served.url()),
    ):

        async def has_been_checked() -> bool:
            pools = served.state.health.pools
            return all(kind in pools and pools[kind].alive for kind in (JobKind.STT, JobKind.LLM, JobKind.TTS))

        await until(has_been_checked)
        body = await status_of(client)
    assert body["gateways"][0] | {"heartbeat_at": 0} == {
        "id": "gw_1", "version": "1.0", "calls": 2, "max_calls": 24, "is_draining": True, "heartbeat_at": 0,
    }  # fmt: skip
    assert body["gateway_id"] == "gw_1"
    assert body["sessions"] == {"total": 1, "by_tenant": {"default": 1}}
    assert body["readiness"]["calls"] == 1
    work = {each["kind"]: each for each in body["work"]}
    assert list(work) == ["stt", "llm", "tts", "tool", "record"]
    assert work["stt"]["workers"] == 1 and work["stt"]["lacking"] == {}
    assert work["record"]["workers"] == 0 and work["record"]["waiting"] >= 1 and work["record"]["dead"] == 0
    assert body["store"]["is_available"] is True and body["store"]["memory_level"] == "free"
    assert body["breakers"] == [{"name": "limits in the store", "state": "closed"}]
    limits = body["limits"]
    assert limits["tenant"] == {"requests": None, "tokens": 5_000, "window_s": 60.0, "sessions": 7}
    (used,) = limits["used"]
    assert (used["name"], used["limit"]) == ("global.requests", 100) and used["remaining"] < 100


async def test_ten_readers_cost_as_much_as_one(redis_broker: RedisBroker, manual_clock: ManualClock) -> None:
    asked = 0

    class Counted(GatewayDirectory):
        async def read(self) -> list[GatewayLine]:
            nonlocal asked
            asked += 1
            return await super().read()

    lines = Counted(redis_broker.connection, lambda: GatewayLine("gw_1", "1.0", 0, 24, is_draining=False))
    async with gateway(redis_broker, gateways=lines, clock=manual_clock) as served, asking(served) as client:
        served.state.clock = manual_clock
        first = await status_of(client)
        assert [await status_of(client) for _ in range(9)] == [first] * 9
        assert asked == 1
        manual_clock.advance(1.0)
        await status_of(client)
        assert asked == 2


async def test_it_answers_while_the_store_is_away(redis_broker: RedisBroker) -> None:
    away = RedisBroker("redis://127.0.0.1:1", retry_for_s=0.01)
    lines = GatewayDirectory(away.connection, lambda: GatewayLine("gw_1", "1.0", 0, 24, is_draining=False))
    async with gateway(away, gateways=lines) as served, asking(served) as client:
        body = await status_of(client)
    await away.close()
    assert body["readiness"]["status"] == "not ready"
    assert (body["gateways"], body["sessions"]) == (None, None)
    assert all(each["waiting"] is None for each in body["work"])
