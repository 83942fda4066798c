"""Tenants' keys on a real PostgreSQL: who is let in, who is not, how soon a deed acts, and that tenants can't see each other."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import BadCredentials, ClientError, PolicyDenied, StorageLost
from agentvoicebox.gateway.admission.quota import allowance_of
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.storage.audit import AuditLog
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres, StorageRefused
from agentvoicebox.tenancy import authenticator as module
from agentvoicebox.tenancy.account_status_cache import (
    ASK_EVERY_S,
    FRESH_S,
    MAX_AGE_S,
    RETRY_AFTER_S,
    AccountStatusCache,
)
from agentvoicebox.tenancy.api_keys import ApiKeys, TenantLimits, UnknownKey
from agentvoicebox.tenancy.audit_trail import GATE, AuditTrail
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.key_format import NewKey, new_key
from agentvoicebox.tenancy.principal import Principal


class Gate:
    """Everything around an authenticator, on one clock."""

    def __init__(self, postgres: Postgres, clock: ManualClock) -> None:
        self.clock = clock
        self.keys = ApiKeys(postgres, clock=clock)
        self.accounts = AccountStatusCache(self.keys, clock=clock)
        self.trail = AuditTrail(postgres, clock=clock)
        self.log = AuditLog(postgres)
        self.who = Authenticator(
            self.keys, self.accounts, self.trail, static_keys=("configured-1", "configured-2"), clock=clock
        )

    async def key(self, tenant: str) -> NewKey:
        key = new_key()
        await self.keys.create(tenant, key)
        return key


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Postgres]:
    await migrate(postgres_url)
    made = await Postgres.open(postgres_url, most_connections=3)
    yield made
    await made.close()


@pytest.fixture
async def gate(postgres: Postgres, manual_clock: ManualClock) -> AsyncIterator[Gate]:
    made = Gate(postgres, manual_clock)
    yield made
    await made.who.close()


async def test_a_good_key_is_its_tenants_and_a_configured_one_the_defaults(gate: Gate) -> None:
    key = await gate.key("acme")
    assert (await gate.who.authenticate(key.text)).principal == Principal("acme", f"key_{key.prefix}")
    configured = (await gate.who.authenticate("configured-2")).principal
    assert (configured.tenant_id, configured.key_id) == ("default", "key_env_2")


async def test_what_is_not_a_good_key_is_refused_and_all_refusals_are_alike(gate: Gate) -> None:
    good, revoked, over = [await gate.key("acme") for _ in range(3)]
    await gate.keys.revoke("acme", revoked.prefix)
    await gate.keys.rotate("acme", over.prefix, new_key(), grace_s=10)
    gate.clock.advance(10)
    wrong_secret = f"sk-avb-{good.prefix}-{revoked.text[-43:]}"
    words = set()
    for bearer in (
        "",
        "configured",
        "configured-11",
        good.text[:-1],
        new_key().text,
        wrong_secret,
        revoked.text,
        over.text,
    ):
        for _ in range(2):  # cold, and from memory
            with pytest.raises(BadCredentials) as refused:
                await gate.who.authenticate(bearer)
            words.add((refused.value.message, refused.value.code, refused.value.close_code))
    assert words == {("Incorrect API key provided.", "invalid_api_key", 3000)}


async def test_a_key_is_looked_up_once_and_then_known_for_half_a_minute(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, wrong = await gate.key("acme"), new_key().text
    asked: list[str] = []
    find = gate.keys.find

    async def counted(prefix: str) -> object:
        asked.append(prefix)
        return await find(prefix)

    monkeypatch.setattr(gate.keys, "find", counted)
    await asyncio.gather(*(gate.who.authenticate(key.text) for _ in range(20)))
    for _ in range(3):
        with pytest.raises(BadCredentials):
            await gate.who.authenticate(wrong)
    assert len(asked) == 2, "twenty at once are one look-up, and a wrong key is remembered, too"
    gate.clock.advance(module.HOT_S)
    await gate.who.authenticate(key.text)
    assert len(asked) == 3


async def test_a_flood_of_wrong_keys_stays_bounded_and_pushes_no_good_one_out(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WRONG", 3)
    key = await gate.key("acme")
    await gate.who.authenticate(key.text)
    for _ in range(6):
        with pytest.raises(BadCredentials):
            await gate.who.authenticate(new_key().text)
    monkeypatch.setattr(gate.keys, "find", None)  # it would fail
    await gate.who.authenticate(key.text)
    assert len(gate.who._wrong) == 3


async def test_suspension_and_revocation_act_within_a_minute_on_new_callers_and_open_sessions(gate: Gate) -> None:
    key, other = await gate.key("acme"), await gate.key("umbra")
    principal = (await gate.who.authenticate(key.text)).principal
    await gate.who.authenticate(other.text)
    await gate.keys.suspend("acme")
    await gate.keys.revoke("umbra", other.prefix)
    gate.clock.advance(FRESH_S)
    with pytest.raises(PolicyDenied) as denied:
        await gate.who.authenticate(key.text)
    assert denied.value.code == "account_deactivated"
    with pytest.raises(BadCredentials):
        await gate.who.authenticate(other.text)
    assert (await gate.accounts.of(principal)).is_suspended and FRESH_S + ASK_EVERY_S < 60
    await gate.keys.suspend("acme", is_suspended=False)
    gate.clock.advance(FRESH_S)
    assert (await gate.who.authenticate(key.text)).principal == principal


async def test_configured_keys_can_be_suspended_and_work_without_postgres(gate: Gate, postgres: Postgres) -> None:
    await gate.key("default")
    await gate.keys.suspend("default")
    with pytest.raises(PolicyDenied):
        await gate.who.authenticate("configured-1")
    away = await Postgres.open("postgresql://nobody@127.0.0.1:1/nothing")
    keys = ApiKeys(away, clock=gate.clock)
    alone = Authenticator(keys, AccountStatusCache(keys, clock=gate.clock), None, static_keys=("configured-1",))
    assert (await alone.authenticate("configured-1")).principal.tenant_id == "default"
    with pytest.raises(StorageLost):
        await alone.authenticate(new_key().text)
    await away.close()


async def test_a_database_that_is_away_is_asked_now_and_then_and_the_last_answer_serves_for_a_minute(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal = (await gate.who.authenticate((await gate.key("acme")).text)).principal
    asked: list[str] = []

    async def lost(tenant_id: str, prefix: str | None) -> object:
        asked.append(tenant_id)
        raise StorageLost("away")

    monkeypatch.setattr(gate.keys, "account_status", lost)
    gate.clock.advance(FRESH_S)
    for _ in range(3):
        assert not (await gate.accounts.of(principal)).is_suspended
    assert len(asked) == 1
    gate.clock.advance(RETRY_AFTER_S)
    await gate.accounts.of(principal)
    assert len(asked) == 2
    gate.clock.advance(MAX_AGE_S - FRESH_S - RETRY_AFTER_S)
    with pytest.raises(StorageLost):
        await gate.accounts.of(principal)


async def test_both_keys_are_good_for_the_grace_of_a_rotation(gate: Gate) -> None:
    old, new = await gate.key("acme"), new_key()
    ends = await gate.keys.rotate("acme", old.prefix, new, grace_s=3600)
    assert ends.timestamp() == gate.clock.wall_s() + 3600
    assert {(await gate.who.authenticate(each.text)).principal.tenant_id for each in (old, new)} == {"acme"}
    with pytest.raises(UnknownKey):
        await gate.keys.rotate("acme", old.prefix, new_key())
    gate.clock.advance(timedelta(hours=1).total_seconds())
    await gate.who.authenticate(new.text)
    with pytest.raises(BadCredentials):
        await gate.who.authenticate(old.text)


@pytest.mark.requirement("A12.3")
async def test_a_tenant_can_not_see_or_touch_another_tenants_rows(gate: Gate, postgres: Postgres) -> None:
    theirs = await gate.key("umbra")
    await gate.key("acme")
    assert [key.prefix for key in await gate.keys.list_keys("acme")] != [theirs.prefix]
    assert len(await gate.keys.list_keys("acme")) == 1
    for deed in (gate.keys.revoke("acme", theirs.prefix), gate.keys.rotate("acme", theirs.prefix, new_key())):
        with pytest.raises(UnknownKey):
            await deed
    async with postgres.tenant_transaction("acme") as connection:
        for table in ("tenants", "projects", "api_keys"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id <> 'acme'") == 0
    with pytest.raises(StorageRefused):
        async with postgres.tenant_transaction("acme") as connection:
            await connection.execute("INSERT INTO tenants (tenant_id) VALUES ('other')")
    await gate.who.authenticate(theirs.text)


async def test_a_named_prefix_shows_one_row_to_read_and_nothing_else(gate: Gate, postgres: Postgres) -> None:
    theirs = await gate.key("umbra")
    await gate.key("umbra")
    async with postgres.tenant_transaction("acme") as connection:
        await connection.execute("SELECT set_config('agentvoicebox.key_prefix', $1, true)", theirs.prefix)
        assert [row["prefix"] for row in await connection.fetch("SELECT prefix FROM api_keys")] == [theirs.prefix]
        assert await connection.execute("UPDATE api_keys SET revoked_at = now()") == "UPDATE 0"
        assert await connection.fetchval("SELECT count(*) FROM tenants") == 0
    for tenant in ("", "acme"):  # nothing of it stays with the connection
        async with postgres.tenant_transaction(tenant) as connection:
            assert await connection.fetchval("SELECT count(*) FROM api_keys") == 0


@pytest.mark.requirement("A12.3")
async def test_the_policies_bind_the_owner_too(gate: Gate, postgres_url: str) -> None:
    await gate.key("umbra")
    owner = await asyncpg.connect(postgres_url)
    try:
        assert await owner.fetchval("SELECT count(*) FROM api_keys") == 0
        assert not await owner.fetchval("SELECT bool_or(secret_hash NOT LIKE '$argon2id$%') FROM api_keys")
    finally:
        await owner.close()


async def test_the_secret_itself_is_nowhere_in_the_database(gate: Gate, postgres: Postgres) -> None:
    key = await gate.key("acme")
    async with postgres.tenant_transaction("acme") as connection:
        row = await connection.fetchrow("SELECT * FROM api_keys")
    assert row is not None and row["secret_hash"].startswith("$argon2id$") and key.text[-43:] not in str(dict(row))


async def test_every_attempt_stands_in_the_audit_log(gate: Gate) -> None:
    key = await gate.key("acme")
    await gate.who.authenticate(key.text)
    await gate.who.authenticate(key.text)  # from memory
    for bearer in (new_key().text, "nonsense"):
        with pytest.raises(BadCredentials):
            await gate.who.authenticate(bearer)
    await gate.trail.flush()
    assert [entry.action for entry in await gate.log.latest("acme")] == ["auth.accepted"] * 2
    refused = await gate.log.latest(GATE)
    assert [entry.action for entry in refused] == ["auth.refused"] * 2
    assert {entry.body["reason"] for entry in refused} == {"invalid_api_key"}
    assert "nonsense" not in str(refused) and gate.trail.lost == 0


async def test_attempts_wait_for_a_database_that_is_away(gate: Gate, postgres: Postgres) -> None:
    away = await Postgres.open("postgresql://nobody@127.0.0.1:1/nothing")
    trail = AuditTrail(away, clock=gate.clock)
    for number in range(3):
        trail.add("acme", "auth.accepted", actor=f"key_{number}")
        gate.clock.advance(1)
    await trail.flush()
    trail._postgres = postgres
    await trail.flush()
    assert [entry.actor for entry in await gate.log.latest("acme")] == ["key_2", "key_1", "key_0"]
    await away.close()


async def test_a_tenants_own_limits_replace_the_usual_ones_where_it_has_them(gate: Gate) -> None:
    key = await gate.key("acme")
    await gate.keys.set_limits("acme", TenantLimits(tokens=7))
    account = (await gate.who.authenticate(key.text)).account
    assert allowance_of(account, Allowance(100, 1000)) == Allowance(100, 7)


@pytest.mark.parametrize("tenant", ["_gate", "", "a/b", "{x}", "Acme", "x" * 64])
async def test_ids_that_could_reach_into_other_keys_name_no_tenant(gate: Gate, tenant: str) -> None:
    with pytest.raises(ClientError):
        await gate.keys.create(tenant, new_key())
