"""Ephemeral secrets in a real Valkey: bound, hashed, short, and no more than their key."""

import hashlib
from collections.abc import AsyncIterator

import pytest
from tests.kit.store import looking_into
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.broker.connection import Connection
from agentvoicebox.errors import BadCredentials, PolicyDenied
from agentvoicebox.gateway.admission.credential_resolver import CredentialResolver
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.account_status_cache import AccountStatusCache
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.client_secrets import ClientSecrets
from agentvoicebox.tenancy.key_format import new_key
from agentvoicebox.tenancy.principal import Principal

pytestmark = pytest.mark.requirement("A12.1")

ACME = Principal("acme", "key_000000000001")
SESSION = {"type": "realtime", "model": "delivery", "instructions": "Be brief."}


@pytest.fixture
async def secrets(store_url: str) -> AsyncIterator[ClientSecrets]:
    connection = Connection(store_url)
    yield ClientSecrets(connection)
    await connection.close()


async def test_a_secret_opens_sessions_for_its_tenant_with_its_configuration(secrets: ClientSecrets) -> None:
    value, expires_at = await secrets.mint(ACME, SESSION, 60)
    for _ in range(2):
        redeemed = await secrets.redeem(value)
        principal, session = redeemed.principal, redeemed.session
        assert (principal.tenant_id, principal.key_id, session) == ("acme", ACME.key_id, SESSION)
        assert principal.scopes == ("realtime",)
    assert value.startswith("ek_") and expires_at > 1_600_000_000


async def test_a_secret_mints_no_secrets(secrets: ClientSecrets) -> None:
    value, _ = await secrets.mint(ACME, SESSION)
    principal = (await secrets.redeem(value)).principal
    with pytest.raises(PolicyDenied):
        await secrets.mint(principal, SESSION)


async def test_only_a_hash_is_kept_and_only_as_long_as_the_secret_lives(secrets: ClientSecrets, store_url: str) -> None:
    value, _ = await secrets.mint(ACME, SESSION, 10)
    with looking_into(store_url, as_text=False) as redis:
        (key,) = redis.scan_iter()
        assert value.encode() not in key + (redis.get(key) or b"")
        assert key.endswith(hashlib.sha256(value.encode()).hexdigest().encode()) and 0 < redis.pttl(key) <= 10_000
        redis.pexpire(key, 0)  # its time is over
    with pytest.raises(BadCredentials):
        await secrets.redeem(value)


async def test_a_secret_bound_to_a_session_opens_no_other(secrets: ClientSecrets) -> None:
    value, _ = await secrets.mint(ACME, SESSION, session_id="sess_1")
    await secrets.redeem(value, session_id="sess_1")
    for other in ("", "sess_2"):
        with pytest.raises(BadCredentials):
            await secrets.redeem(value, session_id=other)


@pytest.mark.parametrize("seconds", [9, 7201, 0, -1])
async def test_lives_out_of_range_are_refused(secrets: ClientSecrets, seconds: int) -> None:
    with pytest.raises(ValueError, match="lives"):
        await secrets.mint(ACME, SESSION, seconds)


async def test_both_kinds_of_credential_are_resolved_and_secrets_of_a_suspended_tenant_are_refused(
    secrets: ClientSecrets, postgres_url: str
) -> None:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url, most_connections=2)
    try:
        keys, key = ApiKeys(postgres), new_key()
        await keys.create("acme", key)
        accounts = AccountStatusCache(keys, wait_s=PATIENCE_S)
        resolver = CredentialResolver(Authenticator(keys, accounts, None, wait_s=PATIENCE_S), secrets, accounts)
        credential = await resolver.resolve(key.text, right="client_secrets")
        assert credential.secret is None
        with pytest.raises(PolicyDenied):
            await resolver.resolve(key.text, right="admin")
        value, _ = await secrets.mint(credential.principal, SESSION)
        secret = (await resolver.resolve(value)).secret
        assert secret is not None and secret.session == SESSION
        with pytest.raises(PolicyDenied):
            await resolver.resolve(value, right="client_secrets")
        await keys.suspend("acme")
        with pytest.raises(PolicyDenied, match="suspended"):
            await CredentialResolver(
                Authenticator(keys, None, None), secrets, AccountStatusCache(keys, wait_s=PATIENCE_S)
            ).resolve(value)
    finally:
        await postgres.close()
