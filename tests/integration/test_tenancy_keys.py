"""Tenants' keys on a real PostgreSQL: who is let in, who is not, how soon a deed acts, and that tenants can't see each other."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest
from argon2 import PasswordHasher
from tests.kit.client import until
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import BadCredentials, ClientError, Overloaded, PolicyDenied, StorageLost
from agentvoicebox.gateway.admission.quota import allowance_of
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.storage.audit import AuditLog
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres, StorageRefused
from agentvoicebox.tenancy import authenticator as module
from agentvoicebox.tenancy.account_status_cache import ASK_EVERY_S, AccountStatusCache
from agentvoicebox.tenancy.api_keys import ApiKeys, TenantLimits, UnknownKey
from agentvoicebox.tenancy.audit_trail import GATE, AuditTrail
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.key_format import NewKey, new_key
from agentvoicebox.tenancy.last_answers import FRESH_S, MAX_AGE_S, RETRY_AFTER_S, LastAnswers
from agentvoicebox.tenancy.principal import Principal
from agentvoicebox.tenancy.refusal_counts import RefusalCounts
from agentvoicebox.tenancy.slow_hashes import MOST_WAITING

SLOW = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Gate:
    """Everything around an authenticator, on one clock."""

    def __init__(self, postgres: Postgres, clock: ManualClock) -> None:
        self.clock = clock
        self.keys = ApiKeys(postgres, clock=clock)
        self.accounts = AccountStatusCache(self.keys, wait_s=PATIENCE_S, clock=clock)
        self.trail = AuditTrail(postgres, clock=clock)
        self.log = AuditLog(postgres)
        self.who = Authenticator(
            self.keys,
            self.accounts,
            self.trail,
            static_keys=("configured-1", "configured-2"),
            wait_s=PATIENCE_S,
            clock=clock,
        )

    async def key(self, tenant: str) -> NewKey:
        key = new_key()
        await self.keys.create(tenant, key)
        return key

    async def slow_key(self, tenant: str, secret_hash: str | None = None) -> NewKey:
        """A key as an earlier version stored it."""
        key = new_key()
        secret_hash = secret_hash or SLOW.hash(key.text[-43:])
        await self.keys.create(tenant, msgspec.structs.replace(key, secret_hash=secret_hash))
        return key

    async def close(self) -> None:
        await self.who.close()
        await self.accounts.close()


async def is_suspended(gate: Gate, principal: Principal) -> bool:
    return (await gate.accounts.of(principal)).is_suspended


async def until_true(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


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
    await made.close()


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


async def test_a_key_is_looked_up_once_and_then_known_until_it_was_not_used_for_an_hour(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, wrong = await gate.key("acme"), new_key()
    asked: list[str] = []
    find_all = gate.keys.find_all

    async def counted(prefixes: Sequence[str]) -> object:
        asked.extend(prefixes)
        return await find_all(prefixes)

    monkeypatch.setattr(gate.who._lookup, "_find_all", counted)
    await asyncio.gather(*(gate.who.authenticate(key.text) for _ in range(20)))
    for _ in range(3):
        with pytest.raises(BadCredentials):
            await gate.who.authenticate(wrong.text)
    assert asked == [key.prefix, wrong.prefix], "twenty at once are one look-up, and a wrong key is remembered, too"
    for _ in range(3):
        gate.clock.advance(module.HOT_S - 1)
        await gate.who.authenticate(key.text)
    assert len(asked) == 2
    gate.clock.advance(module.HOT_S)
    await gate.who.authenticate(key.text)
    assert asked[2:] == [key.prefix]


async def test_a_flood_of_guesses_shares_queries_and_a_good_key_waits_for_two_of_them(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await gate.key("acme")
    batches: list[list[str]] = []
    may_answer = asyncio.Event()
    find_all = gate.keys.find_all

    async def slow(prefixes: Sequence[str]) -> object:
        batches.append(list(prefixes))
        await may_answer.wait()
        return await find_all(prefixes)

    monkeypatch.setattr(gate.who._lookup, "_find_all", slow)
    guesses = [asyncio.create_task(gate.who.authenticate(new_key().text)) for _ in range(300)]
    await until_true(lambda: bool(batches))
    good = asyncio.create_task(gate.who.authenticate(key.text))
    await until_true(lambda: key.prefix in gate.who._lookup._wanted)  # type: ignore[union-attr]
    more = [asyncio.create_task(gate.who.authenticate(new_key().text)) for _ in range(100)]
    may_answer.set()
    assert (await good).principal.tenant_id == "acme"
    refused = await asyncio.gather(*guesses, *more, return_exceptions=True)
    assert all(isinstance(each, BadCredentials) for each in refused)
    assert len(batches) <= 3 and key.prefix in batches[1]


async def test_a_key_with_a_slow_hash_is_good_and_gets_a_fast_one_when_it_is_used(
    gate: Gate, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, unused = await gate.slow_key("acme"), await gate.slow_key("acme")
    with pytest.raises(BadCredentials):
        await gate.who.authenticate(f"sk-avb-{key.prefix}-{unused.text[-43:]}")
    assert (await gate.who.authenticate(key.text)).principal == Principal("acme", f"key_{key.prefix}")
    await until_true(lambda: not gate.who._storing)
    assert {each.prefix: each.is_slow for each in await gate.keys.list_keys("acme")} == {
        key.prefix: False,
        unused.prefix: True,
    }
    async with postgres.tenant_transaction("acme") as connection:
        kept = await connection.fetchval("SELECT secret_hash FROM api_keys WHERE prefix = $1", key.prefix)
    assert kept.startswith("$argon2"), "gateways of the version before read this one"
    monkeypatch.setattr("agentvoicebox.tenancy.slow_hashes.is_slow_secret", None)  # it would fail
    again = Gate(postgres, gate.clock)
    await again.who.authenticate(key.text)
    await again.close()


async def test_guesses_at_a_slow_hash_delay_that_key_alone(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    attacked, other, fast = await gate.slow_key("acme"), await gate.slow_key("acme"), await gate.key("acme")
    is_blocked = threading.Event()
    attacked_hash = (await gate.keys.find_all([attacked.prefix]))[attacked.prefix].secret_hash
    running: list[str] = []

    def check(secret: str, secret_hash: str) -> bool:
        if secret_hash == attacked_hash:
            running.append(secret)
            is_blocked.wait(PATIENCE_S)
        return SLOW.verify(secret_hash, secret)

    monkeypatch.setattr("agentvoicebox.tenancy.slow_hashes.is_slow_secret", check)
    guesses = [f"sk-avb-{attacked.prefix}-{new_key().text[-43:]}" for _ in range(MOST_WAITING + 8)]
    tried = [asyncio.create_task(gate.who.authenticate(guess)) for guess in guesses]
    try:
        await until_true(lambda: sum(each.done() for each in tried) == 8)  # refused for now, as the queue is full
        assert not gate.who._slow_hashes._slots.locked(), "one at a time for a key"
        for key in (other, fast):
            assert (await gate.who.authenticate(key.text)).principal.tenant_id == "acme"
        assert len(running) == 1
    finally:
        is_blocked.set()
    answers = await asyncio.gather(*tried, return_exceptions=True)
    assert sum(isinstance(each, Overloaded) for each in answers) == 8


async def test_a_key_that_was_revoked_while_it_was_known_is_forgotten(gate: Gate) -> None:
    key = await gate.key("acme")
    await gate.who.authenticate(key.text)
    await gate.keys.revoke("acme", key.prefix)
    gate.clock.advance(FRESH_S)
    for _ in range(3):
        with pytest.raises(BadCredentials):
            await gate.who.authenticate(key.text)
    await gate.trail.flush()
    assert [entry.action for entry in await gate.log.latest("acme")] == ["auth.refused", "auth.accepted"]


async def test_a_flood_of_wrong_keys_stays_bounded_and_pushes_no_good_one_out(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WRONG", 3)
    key = await gate.key("acme")
    await gate.who.authenticate(key.text)
    for _ in range(6):
        with pytest.raises(BadCredentials):
            await gate.who.authenticate(new_key().text)
    monkeypatch.setattr(gate.who._lookup, "_find_all", None)  # it would fail
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
    stop = asyncio.Event()
    watching = asyncio.create_task(gate.accounts.run(stop))
    configured = Principal("default", "key_env_1")
    await until(lambda: is_suspended(gate, configured))
    with pytest.raises(PolicyDenied):
        await gate.who.authenticate("configured-1")
    stop.set()
    await watching
    away = await Postgres.open("postgresql://nobody@127.0.0.1:1/nothing")
    keys = ApiKeys(away, clock=gate.clock)
    accounts = AccountStatusCache(keys, clock=gate.clock)
    alone = Authenticator(keys, accounts, None, static_keys=("configured-1",))
    assert (await alone.authenticate("configured-1")).principal.tenant_id == "default"
    with pytest.raises(StorageLost):
        await alone.authenticate(new_key().text)
    await alone.close()
    await accounts.close()
    await away.close()


async def test_a_database_that_is_away_is_asked_now_and_then_and_the_last_answer_serves_for_a_minute(
    gate: Gate,
) -> None:
    asked: list[str] = []
    takes_s = 0.0

    async def ask(question: str) -> str:
        asked.append(question)
        if len(asked) > 1:
            gate.clock.advance(takes_s)
            raise StorageLost("away")
        return "active"

    answers = LastAnswers(ask, wait_s=PATIENCE_S, clock=gate.clock)
    assert await answers.of("acme") == "active"
    gate.clock.advance(FRESH_S)
    takes_s = 10.0
    for _ in range(3):
        assert await answers.of("acme") == "active"
    assert len(asked) == 2, "the rest begins when the answer comes, however long that took"
    takes_s = 0.0
    gate.clock.advance(RETRY_AFTER_S)
    assert await answers.of("acme") == "active"
    assert len(asked) == 3
    gate.clock.advance(MAX_AGE_S - FRESH_S - 10 - RETRY_AFTER_S)
    with pytest.raises(StorageLost):
        await answers.of("acme")
    assert answers.at_once("acme") == "active", "who never waits gets it whatever its age"
    await answers.close()


async def test_who_asks_a_database_that_hangs_gets_the_last_answer_and_the_next_one_that_comes(gate: Gate) -> None:
    may_answer = asyncio.Event()
    asked: list[str] = []

    async def ask(question: str) -> int:
        asked.append(question)
        if len(asked) > 1:
            await may_answer.wait()
        return len(asked)

    answers = LastAnswers(ask, wait_s=0.01, clock=gate.clock)
    assert await answers.of("acme") == 1
    gate.clock.advance(FRESH_S)
    for _ in range(3):
        assert await answers.of("acme") == 1
    with pytest.raises(StorageLost):
        await answers.of("umbra")
    assert asked == ["acme", "acme"], "one query hangs, not one for each caller"
    may_answer.set()
    await until_true(lambda: answers.at_once("acme") == 2)
    assert await answers.of("umbra") == 3, "an answer ends the outage"
    await answers.close()


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


async def test_a_key_with_an_end_gets_a_successor_with_the_same_end(gate: Gate) -> None:
    old, new, newest = new_key(), new_key(), new_key()
    end = datetime.fromtimestamp(gate.clock.wall_s() + 86_400, UTC)
    await gate.keys.create("acme", old, expires_at=end)
    await gate.keys.rotate("acme", old.prefix, new, grace_s=3600)
    await gate.keys.rotate("acme", new.prefix, newest, grace_s=7 * 86_400)
    ends = {key.prefix: key.expires_at for key in await gate.keys.list_keys("acme")}
    assert ends[new.prefix] == ends[newest.prefix] == end, "no rotation makes a key live longer"
    gate.clock.advance(86_400)
    with pytest.raises(BadCredentials):
        await gate.who.authenticate(newest.text)


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


async def test_a_named_prefix_shows_its_row_to_read_and_nothing_else(gate: Gate, postgres: Postgres) -> None:
    theirs = await gate.key("umbra")
    await gate.key("umbra")
    async with postgres.tenant_transaction("acme") as connection:
        await connection.execute("SELECT set_config('agentvoicebox.key_prefix', $1, true)", theirs.prefix)
        assert [row["prefix"] for row in await connection.fetch("SELECT prefix FROM api_keys")] == [theirs.prefix]
        assert await connection.execute("UPDATE api_keys SET revoked_at = now()") == "UPDATE 0"
        assert await connection.fetchval("SELECT count(*) FROM tenants") == 0
    two = [theirs.prefix, (await gate.key("other")).prefix]
    async with postgres.tenant_transaction("acme") as connection:
        await connection.execute("SELECT set_config('agentvoicebox.key_prefixes', $1, true)", ",".join(two))
        assert {row["prefix"] for row in await connection.fetch("SELECT prefix FROM api_keys")} == set(two)
        assert await connection.execute("UPDATE api_keys SET revoked_at = now()") == "UPDATE 0"
    for tenant in ("", "acme"):  # nothing of it stays with the connection
        async with postgres.tenant_transaction(tenant) as connection:
            assert await connection.fetchval("SELECT count(*) FROM api_keys") == 0


@pytest.mark.requirement("A12.3")
async def test_the_policies_bind_the_owner_too(gate: Gate, postgres_url: str) -> None:
    await gate.key("umbra")
    owner = await asyncpg.connect(postgres_url)
    try:
        assert await owner.fetchval("SELECT count(*) FROM api_keys") == 0
        assert not await owner.fetchval("SELECT bool_or(secret_hash NOT LIKE 'b2:%') FROM api_keys")
    finally:
        await owner.close()


async def test_the_secret_itself_is_nowhere_in_the_database(gate: Gate, postgres: Postgres) -> None:
    key = await gate.key("acme")
    async with postgres.tenant_transaction("acme") as connection:
        row = await connection.fetchrow("SELECT * FROM api_keys")
    assert row is not None and row["secret_hash"].startswith("b2:") and key.text[-43:] not in str(dict(row))


async def test_every_attempt_stands_in_the_audit_log(gate: Gate) -> None:
    key = await gate.key("acme")
    await gate.who.authenticate(key.text)
    await gate.who.authenticate(key.text)  # from memory
    guess = new_key()
    for source, bearer in (("192.0.2.1", guess.text), ("192.0.2.2", "nonsense")):
        with pytest.raises(BadCredentials):
            await gate.who.authenticate(bearer, source=source)
    await gate.trail.flush()
    assert [entry.action for entry in await gate.log.latest("acme")] == ["auth.accepted"] * 2
    refused = await gate.log.latest(GATE)
    assert [entry.action for entry in refused] == ["auth.refused"] * 2
    whose = {(entry.subject, entry.actor) for entry in refused}
    assert whose == {("192.0.2.1", f"key_{guess.prefix}"), ("192.0.2.2", "unknown")}
    assert {entry.body["reason"] for entry in refused} == {"invalid_api_key"}
    assert "nonsense" not in str(refused) and gate.trail.lost == 0


async def test_a_flood_of_refusals_is_one_entry_a_source_and_minute(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = AuditTrail(gate.log._postgres, clock=gate.clock)
    monkeypatch.setattr(trail, "_refusals", RefusalCounts(gate.clock, most_sources=2))

    async def entries() -> list[tuple[str, object]]:
        await trail.flush()
        return [(entry.subject, entry.body["count"]) for entry in reversed(await gate.log.latest(GATE))]

    began_s = gate.clock.wall_s()
    for number in range(1_000):
        for source in ("a", "b", f"c{number}"):
            trail.add_refusal("auth.refused", actor=f"key_{number}", source=source, reason="invalid_api_key")
        gate.clock.advance(0.05)
    assert sorted(await entries()) == [("a", 1), ("b", 1), ("other sources", 1)], "the first ones at once"
    gate.clock.advance(11)
    assert sorted((await entries())[3:]) == [("a", 999), ("b", 999), ("other sources", 999)]
    last = (await gate.log.latest(GATE))[0]
    assert (last.actor, last.body["reason"]) == ("unknown", "invalid_api_key")
    assert last.body["first"] == pytest.approx(began_s + 0.05) and last.body["last"] == pytest.approx(began_s + 49.95)
    gate.clock.advance(60)
    assert len(await entries()) == 6 and not trail._refusals._counts
    for _ in range(2):
        trail.add_refusal("auth.refused", actor="unknown", source="d", reason="invalid_api_key")
    await trail.flush(is_end=True)
    assert (await entries())[6:] == [("d", 1), ("d", 1)], "nothing is lost at the end"


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
