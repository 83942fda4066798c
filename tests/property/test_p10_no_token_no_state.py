"""P10: without a valid token the door refuses, and neither the store nor the database holds anything that was not there before.

Arbitrary texts, and near misses of everything that is valid: cut, changed by one letter, with the secret of another key,
revoked, over, of a suspended tenant, spent. Only the audit log of the gate itself may grow.
"""

import asyncio
import string
from collections.abc import Callable

import asyncpg
import msgspec
import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from tests.conftest import ServerLoop
from tests.kit.kits import migrate
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.connection import Connection
from agentvoicebox.errors import BadCredentials, PolicyDenied
from agentvoicebox.gateway.admission.credential_resolver import CredentialResolver
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy import authenticator, slow_hashes
from agentvoicebox.tenancy.account_status_cache import AccountStatusCache
from agentvoicebox.tenancy.api_keys import AccountStatus, ApiKeys
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.client_secrets import ClientSecrets
from agentvoicebox.tenancy.key_format import new_key
from agentvoicebox.tenancy.principal import Principal

pytestmark = pytest.mark.requirement("A12.1")

CONFIGURED = "a-configured-key-of-some-length"
TABLES = ("sessions", "conversation_items", "responses", "shipments", "tenants", "projects", "api_keys")


class World(msgspec.Struct, frozen=True):
    """What there is: valid texts of every kind, and texts that were valid once."""

    valid: dict[str, str]
    spent: dict[str, str]


@pytest.fixture
def world(redis_url: str, postgres_url: str, server_loop: ServerLoop) -> World:
    made: list[World] = []

    async def make() -> None:
        await migrate(postgres_url)
        postgres, connection = await Postgres.open(postgres_url), Connection(redis_url)
        keys, good, twin, revoked, shut = ApiKeys(postgres), new_key(), new_key(), new_key(), new_key()
        slow = new_key()
        slow_hash = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(slow.text[-43:])
        slow = msgspec.structs.replace(slow, secret_hash=slow_hash)
        for tenant, key in (("acme", good), ("umbra", twin), ("acme", revoked), ("shut", shut), ("acme", slow)):
            await keys.create(tenant, key)
        over, fresh = new_key(), new_key()
        await keys.create("acme", over)
        await keys.rotate("acme", over.prefix, fresh, grace_s=0)
        await keys.revoke("acme", revoked.prefix)
        await keys.suspend("shut")
        secrets = ClientSecrets(connection)
        secret, _ = await secrets.mint(Principal("acme", f"key_{good.prefix}"), {"type": "realtime"}, 7200)
        bound, _ = await secrets.mint(Principal("acme", f"key_{good.prefix}"), {}, 7200, session_id="sess_1")
        lost, _ = await secrets.mint(Principal("acme", f"key_{revoked.prefix}"), {}, 7200)
        await postgres.close()
        await connection.close()
        valid = {"configured": CONFIGURED, "key": good.text, "twin": twin.text, "slow": slow.text, "secret": secret}
        made.append(
            World(valid, {"revoked": revoked.text, "over": over.text, "shut": shut.text, "bound": bound, "lost": lost})
        )

    server_loop.run(make())
    return made[0]


def near_misses(text: str) -> st.SearchStrategy[str]:
    """The text with something wrong with it."""
    at = st.integers(0, len(text) - 1)
    letter = st.sampled_from(string.ascii_letters + string.digits + "-_ \u00e9\ud800")
    return st.one_of(
        at.map(lambda cut: text[:cut]),
        at.map(lambda cut: text[cut + 1 :]),
        st.tuples(at, letter).map(lambda pair: text[: pair[0]] + pair[1] + text[pair[0] + 1 :]),
        letter.map(lambda more: text + more),
        st.sampled_from([text.upper(), text.swapcase(), f" {text}", f"{text}\n", f"Bearer {text}", text * 2]),
    )


@st.composite
def bearers(draw: Callable[..., str], world: World) -> str:
    kind = draw(st.sampled_from(["any", "near", "spent", "mixed"]))
    if kind == "any":
        lead = draw(st.sampled_from(["", "sk-avb-", "ek_", "sk-"]))
        return lead + draw(st.text(max_size=80))
    if kind == "spent":
        return draw(st.sampled_from(sorted(world.spent.values())))
    if kind == "mixed":
        pair = draw(st.sampled_from(["key twin", "twin slow", "slow key"])).split()
        return world.valid[pair[0]][:20] + world.valid[pair[1]][20:]
    return draw(near_misses(draw(st.sampled_from(sorted(world.valid.values())))))


async def knock(redis_url: str, postgres_url: str, bearers: list[str]) -> list[bool]:
    """Whether each was let in."""
    postgres, connection = await Postgres.open(postgres_url, most_connections=2), Connection(redis_url)
    keys = ApiKeys(postgres)
    accounts, trail = AccountStatusCache(keys, wait_s=PATIENCE_S), AuditTrail(postgres)
    who = Authenticator(keys, accounts, trail, static_keys=(CONFIGURED,), wait_s=PATIENCE_S)
    resolver = CredentialResolver(who, ClientSecrets(connection), accounts, trail)
    let_in = []
    try:
        for bearer in bearers:
            try:
                await resolver.resolve(bearer)
                let_in.append(True)
            except (BadCredentials, PolicyDenied) as error:
                assert error.close_code in (3000, 1008)
                let_in.append(False)
        await trail.flush()
    finally:
        await who.close()
        await accounts.close()
        await postgres.close()
        await connection.close()
    return let_in


def state(redis_url: str, url: str, server_loop: ServerLoop) -> tuple[set[bytes], dict[str, int]]:
    """Every key of the store; the rows of every table but the audit log (as its superuser, who sees all)."""
    rows: dict[str, int] = {}

    async def count() -> None:
        owner = await asyncpg.connect(url)
        for table in TABLES:
            rows[table] = await owner.fetchval(f"SELECT count(*) FROM {table}")
        await owner.close()

    server_loop.run(count())
    with Redis.from_url(redis_url) as redis:
        return set(redis.scan_iter()), rows


def hold_p10(
    world: World, redis_url: str, postgres_url: str, owner_url: str, server_loop: ServerLoop, examples: int = 60
) -> None:
    before = state(redis_url, owner_url, server_loop)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(tried=st.lists(bearers(world), min_size=1, max_size=4))
    def search(tried: list[str]) -> None:
        tried = [each for each in tried if each not in world.valid.values()]
        assert not any(asyncio.run(knock(redis_url, postgres_url, tried))), f"one of these was let in: {tried}"
        assert state(redis_url, owner_url, server_loop) == before

    search()


@pytest.fixture
def owner_url(postgres_server: object) -> str:
    url: str = postgres_server.owner_url.replace("/postgres?", "/agentvoicebox?")  # type: ignore[attr-defined]
    return url


def test_p10_without_a_valid_token_nothing_begins(
    world: World, redis_url: str, postgres_url: str, owner_url: str, server_loop: ServerLoop
) -> None:
    assert all(asyncio.run(knock(redis_url, postgres_url, list(world.valid.values()))))
    hold_p10(world, redis_url, postgres_url, owner_url, server_loop)


@pytest.mark.parametrize("broken", ["secret", "slow", "revoked", "bound", "account"])
def test_a_broken_door_is_caught(
    world: World,
    redis_url: str,
    postgres_url: str,
    owner_url: str,
    server_loop: ServerLoop,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    async def is_active(self: object, principal: Principal) -> AccountStatus:
        return AccountStatus()

    match broken:
        case "secret":  # the prefix alone is enough
            monkeypatch.setattr(authenticator, "is_secret", lambda prefix, secret, secret_hash: True)
        case "slow":
            monkeypatch.setattr(slow_hashes, "is_slow_secret", lambda secret, secret_hash: True)
        case "revoked":
            monkeypatch.setattr("agentvoicebox.tenancy.api_keys.StoredKey.is_good", lambda self, now: True)
            monkeypatch.setattr(AccountStatusCache, "require_active", is_active)
        case "bound":
            redeem = ClientSecrets.redeem
            monkeypatch.setattr(
                ClientSecrets, "redeem", lambda self, value, session_id: redeem(self, value, session_id="sess_1")
            )
        case "account":
            monkeypatch.setattr(AccountStatusCache, "require_active", is_active)
    with pytest.raises(AssertionError, match="was let in"):
        hold_p10(world, redis_url, postgres_url, owner_url, server_loop, examples=150)
