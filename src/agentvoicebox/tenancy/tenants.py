"""Tenants and their projects in PostgreSQL; keys, suspension and limits are in `api_keys`.

A transaction sees one tenant's rows; only a transaction that declares it to the database may list the tenants.
"""

from datetime import datetime
from typing import Any

import msgspec

from agentvoicebox.errors import ClientError
from agentvoicebox.storage.audit import AuditEntry, write
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import TenantRules, tenant_rules
from agentvoicebox.tenancy.api_keys import TenantLimits, UnknownKey, check_id

_COLUMNS = "tenant_id, name, limits::text AS limits, history::text AS history, created_at, suspended_at"
_LIST = f"SELECT {_COLUMNS} FROM tenants WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2"
_GET = f"SELECT {_COLUMNS} FROM tenants"  # the one that the transaction sees
_CREATE = "INSERT INTO tenants (tenant_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING tenant_id"
_PROJECTS = "SELECT project_id, created_at FROM projects WHERE project_id > $1 ORDER BY project_id LIMIT $2"
_PROJECT = "INSERT INTO projects (tenant_id, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING project_id"
_LISTS = "SELECT set_config('agentvoicebox.lists_tenants', 'yes', true)"


class TenantExists(ClientError):
    """There is a tenant with this id already."""

    code = "tenant_exists"


class Tenant(msgspec.Struct, frozen=True):
    """A tenant as administrators see it; limits and history are its own values."""

    tenant_id: str
    name: str
    limits: TenantLimits
    history: TenantRules
    created_at: datetime
    suspended_at: datetime | None


class Project(msgspec.Struct, frozen=True):
    """A project of a tenant: a name that groups some of its keys."""

    project_id: str
    created_at: datetime


class Tenants:
    """Reads and writes. An `audit_entry` is written together with its change, or not at all."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def create(self, tenant_id: str, *, name: str = "", audit_entry: AuditEntry | None = None) -> None:
        """Create a tenant.

        Raises:
            TenantExists: there is one with this id. ClientError: the id is invalid.
        """
        check_id(tenant_id, "tenant")
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            if await connection.fetchval(_CREATE, tenant_id, name) is None:
                raise TenantExists(f"There is a tenant {tenant_id} already.", param="id")
            await write(connection, tenant_id, audit_entry)

    async def get(self, tenant_id: str) -> Tenant:
        """One tenant. Raises UnknownKey."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            row = await connection.fetchrow(_GET)
        if row is None:
            raise _unknown(tenant_id)
        return _tenant(row)

    async def list_tenants(self, *, after: str = "", most: int) -> list[Tenant]:
        """Tenants in the order of their ids, starting after one of them."""
        async with self._postgres.tenant_transaction("") as connection:
            await connection.execute(_LISTS)
            rows = await connection.fetch(_LIST, after, most)
        return [_tenant(row) for row in rows]

    async def rename(self, tenant_id: str, name: str, *, audit_entry: AuditEntry | None = None) -> None:
        """Change a tenant's display name. Raises UnknownKey."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            if await connection.fetchval("UPDATE tenants SET name = $1 RETURNING tenant_id", name) is None:
                raise _unknown(tenant_id)
            await write(connection, tenant_id, audit_entry)

    async def projects(self, tenant_id: str, *, after: str = "", most: int) -> list[Project]:
        """Projects of a tenant in the order of their ids, starting after one of them."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            rows = await connection.fetch(_PROJECTS, after, most)
        return [Project(row["project_id"], row["created_at"]) for row in rows]

    async def has_project(self, tenant_id: str, project_id: str) -> bool:
        """Whether the tenant has a project of this id."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            return await connection.fetchval("SELECT 1 FROM projects WHERE project_id = $1", project_id) is not None

    async def add_project(self, tenant_id: str, project_id: str, *, audit_entry: AuditEntry | None = None) -> Project:
        """Create a project, or return the existing one.

        Raises:
            UnknownKey: there is no such tenant. ClientError: the project's id is invalid.
        """
        check_id(project_id, "project")
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            if await connection.fetchrow(_GET) is None:
                raise _unknown(tenant_id)
            if await connection.fetchval(_PROJECT, tenant_id, project_id) is not None:
                await write(connection, tenant_id, audit_entry)
            made = await connection.fetchval("SELECT created_at FROM projects WHERE project_id = $1", project_id)
        return Project(project_id, made)


def _tenant(row: Any) -> Tenant:
    limits = msgspec.json.decode(row["limits"], type=TenantLimits)
    history = tenant_rules(row["history"])
    return Tenant(row["tenant_id"], row["name"], limits, history, row["created_at"], row["suspended_at"])


def _unknown(tenant_id: str) -> UnknownKey:
    return UnknownKey(f"There is no tenant {tenant_id}.", code="tenant_not_found")
