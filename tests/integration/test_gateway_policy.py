"""A real gateway asks its policy: agents that a tenant may not call, a policy that is away, and who may administer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.kit.client import calling
from tests.kit.gateway import gateway
from tests.kit.opa_server import opa_server
from tests.kit.resuming_client import refusal
from tests.kit.tenant_gateway import CONFIGURED, TenantGateway, as_key, tenant_gateway

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.clock import ManualClock
from agentvoicebox.gateway.admission.admission_control import AdmissionConfig
from agentvoicebox.gateway.http.app import create_app
from agentvoicebox.gateway.state import RecordStores
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.policy.bundle import shipped_rules
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.policy.opa import OpaPolicy
from agentvoicebox.storage.history import History
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.key_format import new_key

OWN_RULE = """package agentvoicebox.access

deny contains "acme calls the webhook server only" if {
	input.tenant == "acme"
	input.action == "session.open"
	input.resource.id != "delivery"
}
"""


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Postgres]:
    await migrate(postgres_url)
    made = await Postgres.open(postgres_url)
    yield made
    await made.close()


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "access.rego").write_text((shipped_rules() / "access.rego").read_text())
    (tmp_path / "own.rego").write_text(OWN_RULE)
    return tmp_path


async def both_agents_are_asked_for(town: TenantGateway) -> None:
    key = (await town.key()).text
    async with calling(town.url("model=delivery"), **as_key(key)):
        pass
    async with calling(town.url("model=gpt-realtime"), **as_key(key)):  # another name of the same agent
        pass
    error, code, _ = await refusal(town.url("model=assistant"), **as_key(key))
    assert (error["code"], code) == ("insufficient_permissions", 1008) and "webhook server only" in error["message"]
    async with town.http(key) as http:
        minted = await http.post(
            "/v1/realtime/client_secrets", json={"session": {"type": "realtime", "model": "assistant"}}
        )
    error, code, _ = await refusal(town.url(""), **as_key(minted.json()["value"]))  # a secret is no way around
    assert (error["code"], code) == ("insufficient_permissions", 1008)


async def test_an_agent_that_the_rules_forbid_can_not_be_called(
    redis_broker: RedisBroker, postgres: Postgres, rules: Path
) -> None:
    async with tenant_gateway(redis_broker, postgres, ManualClock(), policy=EmbeddedPolicy(str(rules))) as town:
        await both_agents_are_asked_for(town)


async def test_the_same_rules_hold_behind_a_server(redis_broker: RedisBroker, postgres: Postgres, rules: Path) -> None:
    async with (
        opa_server(rules) as opa,
        tenant_gateway(redis_broker, postgres, ManualClock(), policy=OpaPolicy(opa.url)) as town,
    ):
        await both_agents_are_asked_for(town)
        assert {"session.connect", "session.open", "client_secret.create"} == {each["action"] for each in opa.asked}


async def test_a_policy_that_is_away_lets_nobody_in_and_says_so(redis_broker: RedisBroker, postgres: Postgres) -> None:
    policy = OpaPolicy("http://127.0.0.1:1")
    async with tenant_gateway(redis_broker, postgres, ManualClock(), policy=policy) as town:
        key = (await town.key()).text
        error, code, reason = await refusal(town.url(), **as_key(key))
        assert (error["code"], code, reason) == ("policy_lost", 1013, "server_error.policy_lost")
        assert "AVB_OPA_URL" in error["message"] and await town.served.state.directory.live() == []
        async with town.http(key) as http:
            answer = await http.get("/v1/models")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "policy_lost")


async def test_the_administration_stands_beside_the_calls(redis_broker: RedisBroker, postgres: Postgres) -> None:
    records = RecordStores(postgres, History(postgres), UsageReader(postgres))
    admission = AdmissionConfig((CONFIGURED,))
    async with gateway(redis_broker, admission=admission, postgres=postgres, records=records) as served:
        town = TenantGateway(served, served.state.admission._api_keys, ManualClock())  # type: ignore[arg-type]
        admin = new_key()
        await ApiKeys(postgres).create(DEFAULT_TENANT, admin, scopes=("admin",))
        async with town.http(CONFIGURED) as configured:
            assert (await configured.get("/v1/admin/tenants")).status_code == 403
        async with town.http(admin.text) as operator:
            assert (await operator.post("/v1/admin/tenants", json={"id": "acme"})).status_code == 201
            shown = (await operator.post("/v1/admin/tenants/acme/keys", json={})).json()
            async with calling(town.url(), **as_key(shown["key"])):
                (session,) = await served.state.directory.live()
                assert session.tenant_id == "acme"
            assert (await operator.get("/v1/admin/tenants/umbra")).status_code == 404
            assert "/v1/admin/tenants" in create_app(served.state).openapi()["paths"]
        async with town.http(shown["key"]) as caller:
            assert (await caller.get("/v1/admin/tenants/acme")).status_code == 403
            secret = (await caller.post("/v1/realtime/client_secrets", json={})).json()["value"]
        async with town.http(secret) as browser:
            assert (await browser.get("/v1/admin/tenants/acme")).status_code == 403
        async with town.http(new_key().text) as stranger:
            assert (await stranger.get("/v1/admin/tenants/acme")).status_code == 401
