"""`agentvoicebox keys` on a real PostgreSQL: what it shows, once, is what the gate lets in."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentvoicebox.cli.keys import app
from agentvoicebox.errors import BadCredentials, PolicyDenied
from agentvoicebox.storage.audit import AuditLog
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.account_status_cache import AccountStatusCache
from agentvoicebox.tenancy.api_keys import ApiKeys, TenantLimits
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.principal import Principal

Keys = Callable[..., Result]


@pytest.fixture
def keys(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setenv("AVB_POSTGRES_URL", postgres_url)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def shown(result: Result) -> str:
    found = re.search(r"sk-avb-\S+", result.output)
    assert result.exit_code == 0 and found is not None, result.output
    return found[0]


def authenticated(url: str, bearer: str) -> Principal:
    async def ask() -> Principal:
        postgres = await Postgres.open(url, most_connections=1)
        try:
            stored = ApiKeys(postgres)
            return (await Authenticator(stored, AccountStatusCache(stored), None).authenticate(bearer)).principal
        finally:
            await postgres.close()

    return asyncio.run(ask())


def limits_of(url: str, tenant: str) -> TenantLimits:
    async def ask() -> TenantLimits:
        postgres = await Postgres.open(url, most_connections=1)
        try:
            return (await ApiKeys(postgres).account_status(tenant, None)).limits
        finally:
            await postgres.close()

    return asyncio.run(ask())


def test_a_key_lives_from_create_over_rotate_to_revoke(keys: Keys, postgres_url: str) -> None:
    old = shown(keys("create", "--tenant", "acme", "--name", "web shop", "--project", "shop", "--scope", "realtime"))
    principal = authenticated(postgres_url, old)
    assert (principal.tenant_id, principal.scopes) == ("acme", ("realtime",))
    new = shown(keys("rotate", old, "--tenant", "acme"))
    listed = keys("list", "--tenant", "acme").output
    assert old[-43:] not in listed and new[-43:] not in listed and old[7:19] in listed and new[7:19] in listed
    assert authenticated(postgres_url, old).scopes == authenticated(postgres_url, new).scopes
    assert keys("revoke", old[7:19], "--tenant", "acme").exit_code == 0
    with pytest.raises(BadCredentials):
        authenticated(postgres_url, old)
    assert authenticated(postgres_url, new).tenant_id == "acme"


def test_a_tenant_has_limits_of_its_own_until_it_has_the_usual_ones(keys: Keys, postgres_url: str) -> None:
    shown(keys("create", "--tenant", "acme"))
    assert keys("limit", "acme", "--requests", "60", "--window-s", "10").exit_code == 0
    assert limits_of(postgres_url, "acme") == TenantLimits(requests=60, window_s=10)
    assert keys("limit", "acme", "--usual").exit_code == 0
    assert limits_of(postgres_url, "acme") == TenantLimits()
    for wrong in (("acme",), ("acme", "--usual", "--tokens", "1"), ("nobody", "--tokens", "1")):
        assert keys("limit", *wrong).exit_code == 1


def test_a_suspended_tenant_is_out_until_it_is_let_in_again(keys: Keys, postgres_url: str) -> None:
    key = shown(keys("create", "--tenant", "acme"))
    assert keys("suspend", "acme").exit_code == 0
    with pytest.raises(PolicyDenied):
        authenticated(postgres_url, key)
    assert keys("suspend", "acme", "--lift").exit_code == 0
    assert authenticated(postgres_url, key).tenant_id == "acme"


def test_every_deed_is_in_the_audit_log(keys: Keys, postgres_url: str) -> None:
    key = shown(keys("create", "--tenant", "acme"))
    keys("suspend", "acme")

    async def read() -> list[tuple[str, str, str]]:
        postgres = await Postgres.open(postgres_url, most_connections=1)
        try:
            return [(each.actor, each.action, each.subject) for each in await AuditLog(postgres).latest("acme")]
        finally:
            await postgres.close()

    expected = [("cli", "tenant.suspended", "acme"), ("cli", "key.created", f"key_{key[7:19]}")]
    assert asyncio.run(read()) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--tenant", "Not A Tenant"),
        ("create", "--scope", "everything"),
        ("revoke", "000000000000", "--tenant", "acme"),
        ("rotate", "000000000000", "--tenant", "acme"),
        ("suspend", "nobody"),
    ],
)
def test_what_can_not_be_done_is_said_and_ends_with_1(keys: Keys, arguments: tuple[str, ...]) -> None:
    result = keys(*arguments)
    assert result.exit_code == 1 and "Traceback" not in result.output


def test_without_a_database_it_says_what_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_POSTGRES_URL", "")
    monkeypatch.setenv("AVB_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 1 and "agentvoicebox serve" in result.output
