"""One table of who may do what, over both ways to evaluate the rules: in this process, and by a server that speaks OPA's API."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from tests.kit.opa_server import opa_server

from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.policy.opa import OpaPolicy
from agentvoicebox.ports.policy import Action, Policy, PolicyRequest

pytestmark = pytest.mark.requirement("A0")

CASES: list[dict[str, Any]] = msgspec.json.decode(Path("tests/data/policy_cases.json").read_bytes())


@pytest.fixture(params=["embedded", "opa"])
async def policy(request: pytest.FixtureRequest) -> AsyncIterator[Policy]:
    if request.param == "embedded":
        embedded = EmbeddedPolicy()
        yield embedded
        await embedded.close()
        return
    async with opa_server() as server:
        remote = OpaPolicy(server.url)
        yield remote
        await remote.close()


async def test_the_table_holds(policy: Policy) -> None:
    wrong = []
    for case in CASES:
        tenant_id, *scopes = case["who"]
        question = PolicyRequest(tenant_id, "key_1", tuple(scopes), case["action"], case["of"], case.get("id", ""))
        decision = await policy.decide(question)
        if decision.allow is not case["allow"] or decision.reason != case.get("reason", decision.reason):
            wrong.append((case, decision))
    assert wrong == []


def test_the_table_asks_about_every_action_and_both_ways() -> None:
    allowed = {case["action"] for case in CASES if case["allow"]}
    refused = {case["action"] for case in CASES if not case["allow"]}
    assert allowed == set(get_args(Action))
    assert len(refused & allowed) > len(allowed) / 2


@pytest.mark.parametrize("scopes", [(), ("realtime",), ("client_secrets",), ("admin",)])
async def test_nobody_reaches_into_another_tenant_but_an_operator_who_administers(
    policy: Policy, scopes: tuple[str, ...]
) -> None:
    for action in get_args(Action):
        for tenant_id in ("acme", "default"):
            decision = await policy.decide(PolicyRequest(tenant_id, "key_1", scopes, action, "umbra", "x"))
            is_operator = tenant_id == "default" and "admin" in scopes and action.startswith("admin.")
            assert decision.allow is is_operator, (action, tenant_id, decision)
