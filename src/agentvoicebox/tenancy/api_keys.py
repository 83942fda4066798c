"""Tenants and their keys in PostgreSQL. Everything but `find_all` works inside one tenant, which the database enforces."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import ClientError
from agentvoicebox.storage.audit import AuditEntry, write
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.key_format import NewKey
from agentvoicebox.tenancy.principal import DEFAULT_RIGHTS, TENANT_ID, Right

GRACE_S = 86_400.0  # after a rotation both keys work for a day, to roll out the new one

_FIND = """
SELECT prefix, tenant_id, coalesce(secret_digest, secret_hash) AS secret_hash, scopes, expires_at, revoked_at
FROM api_keys WHERE prefix = ANY ($1)
"""
_LISTED = """
prefix, name, project_id, scopes, created_at, expires_at, revoked_at, rotated_to,
coalesce(secret_digest, secret_hash) NOT LIKE 'b2:%' AS is_slow
"""
_LIST = f"""
SELECT {_LISTED} FROM api_keys
WHERE $1 = '' OR (created_at, prefix) > (SELECT created_at, prefix FROM api_keys WHERE prefix = $1)
ORDER BY created_at, prefix LIMIT $2
"""
_GET = f"SELECT {_LISTED} FROM api_keys WHERE prefix = $1"
_SET_DIGEST = "UPDATE api_keys SET secret_digest = $2 WHERE prefix = $1 AND secret_digest IS NULL"
_INSERT = """
INSERT INTO api_keys (prefix, tenant_id, project_id, name, secret_hash, scopes, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_ROTATE = """
WITH old AS (
    SELECT prefix, expires_at FROM api_keys
    WHERE prefix = $1 AND revoked_at IS NULL AND rotated_to IS NULL AND (expires_at IS NULL OR expires_at > $4)
    FOR UPDATE
)
UPDATE api_keys AS key SET rotated_to = $2, expires_at = least(key.expires_at, $3)
FROM old WHERE key.prefix = old.prefix
RETURNING key.name, key.project_id, key.scopes, old.expires_at
"""
_ONE_LINE = """
WITH RECURSIVE line AS (
    SELECT rotated_to FROM api_keys WHERE prefix IN ($1, $2)
    UNION SELECT later.rotated_to FROM line JOIN api_keys AS later ON later.prefix = line.rotated_to
)
SELECT EXISTS (SELECT FROM line WHERE rotated_to IN ($1, $2))
"""
_REVOKE = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE prefix = $1 RETURNING prefix"
_ACCOUNT_STATUS = """
SELECT tenant.suspended_at, tenant.limits, key.prefix, key.expires_at, key.revoked_at
FROM (VALUES ($1)) AS asked (prefix) LEFT JOIN tenants AS tenant ON true LEFT JOIN api_keys AS key USING (prefix)
"""


class UnknownKey(ClientError):
    """The tenant has no such key, or it is no longer valid."""

    code = "key_not_found"


class StoredKey(msgspec.Struct, frozen=True):
    """The result of `find_all`: the data needed to check a key."""

    tenant_id: str
    secret_hash: str
    scopes: tuple[Right, ...]
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_good(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class ListedKey(msgspec.Struct, frozen=True):
    """A key as its tenant sees it. `is_slow`: it was not used since an earlier version stored it, with a slow hash."""

    prefix: str
    name: str
    project_id: str | None
    scopes: tuple[Right, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_to: str | None
    is_slow: bool


class TenantLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """The limits in a tenant's row; None means the deployment's value. `sessions`: open at a time."""

    requests: int | None = None
    tokens: int | None = None
    window_s: float | None = None
    sessions: int | None = None


class AccountStatus(msgspec.Struct, frozen=True):
    """Whether a tenant and one of its keys may use the service now, and the tenant's own limits."""

    is_suspended: bool = False
    is_key_good: bool = True
    limits: TenantLimits = TenantLimits()


class ApiKeys:
    """Reads and writes. An `audit_entry` is written together with its change, or not at all."""

    def __init__(self, postgres: Postgres, *, clock: Clock | None = None) -> None:
        self._postgres = postgres
        self._clock = clock or SystemClock()

    async def find_all(self, prefixes: Sequence[str]) -> dict[str, StoredKey]:
        """The keys with these prefixes, of any tenants, by prefix. Raises StorageLost or StorageRefused."""
        async with self._postgres.tenant_transaction("") as connection:
            await connection.execute("SELECT set_config('agentvoicebox.key_prefixes', $1, true)", ",".join(prefixes))
            rows = [_plain(row) for row in await connection.fetch(_FIND, list(prefixes))]
        return {row.pop("prefix"): StoredKey(**row) for row in rows}

    async def store_fast_hash(self, tenant_id: str, prefix: str, secret_hash: str) -> None:
        """Store the fast hash of a key that has a slow one. Idempotent. Raises StorageLost or StorageRefused."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            await connection.execute(_SET_DIGEST, prefix, secret_hash)

    async def create(
        self,
        tenant_id: str,
        key: NewKey,
        *,
        name: str = "",
        project_id: str | None = None,
        scopes: tuple[Right, ...] = DEFAULT_RIGHTS,
        expires_at: datetime | None = None,
        audit_entry: AuditEntry | None = None,
    ) -> None:
        """Store a key of a tenant; tenant and project are created if they are new.

        Raises:
            ClientError: an invalid id of a tenant or project.
        """
        check_id(tenant_id, "tenant")
        if project_id is not None:
            check_id(project_id, "project")
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            await connection.execute("INSERT INTO tenants (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant_id)
            if project_id is not None:
                await connection.execute(
                    "INSERT INTO projects (tenant_id, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                    tenant_id,
                    project_id,
                )
            await connection.execute(
                _INSERT, key.prefix, tenant_id, project_id, name, key.secret_hash, list(scopes), expires_at
            )
            await write(connection, tenant_id, audit_entry)

    async def list_keys(self, tenant_id: str, *, after: str = "", most: int | None = None) -> list[ListedKey]:
        """The keys of the tenant, oldest first, revoked ones too.

        Args:
            tenant_id: the tenant.
            after: the prefix of the key before the first wanted one; an unknown one gives an empty list.
            most: the maximum number of keys.
        """
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            rows = await connection.fetch(_LIST, after, most)
        return [ListedKey(**_plain(row)) for row in rows]

    async def get(self, tenant_id: str, prefix: str) -> ListedKey:
        """One key of the tenant. Raises UnknownKey."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            row = await connection.fetchrow(_GET, prefix)
        if row is None:
            raise UnknownKey(f"Tenant {tenant_id} has no key {prefix}.")
        return ListedKey(**_plain(row))

    async def rotate(
        self,
        tenant_id: str,
        prefix: str,
        key: NewKey,
        *,
        grace_s: float = GRACE_S,
        audit_entry: AuditEntry | None = None,
    ) -> datetime:
        """Store `key` as the successor of an older one, which stays valid for at most `grace_s`.

        The successor expires when the older one would have.

        Returns:
            when the older one expires.

        Raises:
            UnknownKey: there is no such key, or it is revoked, expired, or already rotated.
        """
        now = self._now()
        ends = now + timedelta(seconds=grace_s)
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            row = await connection.fetchrow(_ROTATE, prefix, key.prefix, ends, now)
            if row is None:
                raise UnknownKey(f"Tenant {tenant_id} has no valid key {prefix} that was not rotated yet.")
            await connection.execute(
                _INSERT,
                key.prefix,
                tenant_id,
                row["project_id"],
                row["name"],
                key.secret_hash,
                row["scopes"],
                row["expires_at"],
            )
            await write(connection, tenant_id, audit_entry)
        return ends

    async def share_rotation(self, tenant_id: str, one: str, other: str) -> bool:
        """Whether one of two different keys (by prefix) of the tenant was rotated, directly or repeatedly, to the other."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            return bool(await connection.fetchval(_ONE_LINE, one, other))

    async def revoke(self, tenant_id: str, prefix: str, *, audit_entry: AuditEntry | None = None) -> None:
        """Revoke a key at once. Idempotent. Raises UnknownKey when the tenant has none with this prefix."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            if await connection.fetchval(_REVOKE, prefix, self._now()) is None:
                raise UnknownKey(f"Tenant {tenant_id} has no key {prefix}.")
            await write(connection, tenant_id, audit_entry)

    async def suspend(
        self, tenant_id: str, *, is_suspended: bool = True, audit_entry: AuditEntry | None = None
    ) -> None:
        """Suspend a tenant, or lift the suspension. Idempotent. Raises UnknownKey when there is no such tenant."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            found = await connection.fetchval(
                "UPDATE tenants SET suspended_at = CASE WHEN $1 THEN coalesce(suspended_at, $2) END RETURNING tenant_id",
                is_suspended,
                self._now(),
            )
            if found is None:
                raise UnknownKey(f"There is no tenant {tenant_id}.", code="tenant_not_found")
            await write(connection, tenant_id, audit_entry)

    async def set_limits(self, tenant_id: str, limits: TenantLimits, *, audit_entry: AuditEntry | None = None) -> None:
        """Give a tenant limits of its own. Raises UnknownKey when there is no such tenant."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            found = await connection.fetchval(
                "UPDATE tenants SET limits = $1::jsonb RETURNING tenant_id", msgspec.json.encode(limits).decode()
            )
            if found is None:
                raise UnknownKey(f"There is no tenant {tenant_id}.", code="tenant_not_found")
            await write(connection, tenant_id, audit_entry)

    async def account_status(self, tenant_id: str, prefix: str | None) -> AccountStatus:
        """The status of a tenant and one of its keys (None: a configured key, which is good). Raises StorageLost."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            row = await connection.fetchrow(_ACCOUNT_STATUS, prefix or "")
        if row is None:  # VALUES always gives one row, so this is not our database
            return AccountStatus(is_key_good=False)
        is_expired = row["expires_at"] is not None and row["expires_at"] <= self._now()
        exists = prefix is None or row["prefix"] is not None
        limits = msgspec.json.decode(row["limits"] or "{}", type=TenantLimits)
        return AccountStatus(
            row["suspended_at"] is not None, exists and row["revoked_at"] is None and not is_expired, limits
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall_s(), UTC)


def _plain(row: Any) -> dict[str, Any]:
    return {**row, "scopes": tuple(row["scopes"])}


def check_id(value: str, what: str) -> None:
    """Raise ClientError for an invalid id of a tenant or project; `what` names which of both it is."""
    if not TENANT_ID.fullmatch(value):
        raise ClientError(
            f"A {what} id consists of lower-case letters, digits and '-', not {value[:64]!r}.", param=what
        )
