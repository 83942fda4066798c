"""Tenants and their projects in PostgreSQL; their keys, suspension and limits are `api_keys`'.

A transaction sees one tenant's rows; the list of tenants alone is read by one that says to the database that it lists them.
"""

from datetime import datetime
from typing import Any

import msgspec

from agentvoicebox.errors import ClientError
from agentvoicebox.storage.audit import AuditEntry, write
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import OwnRules, own_rules
from agentvoicebox.tenancy.api_keys import TenantLimits, UnknownKey, check_id

_COLUMNS = "tenant_id, name, limits::text AS limits, history::text AS history, created_at, suspended_at"
_LIST = f"SELECT {_COLUMNS} FROM tenants WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2"
_GET = f"SELECT {_COLUMNS} FROM tenants"  # the one that the transaction sees
_CREATE = "INSERT INTO tenants (tenant_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING tenant_id"
_PROJECTS = "SELECT project_id, created_at FROM projects WHERE project_id > $1 ORDER BY project_id LIMIT $2"
_PROJECT = "INSERT INTO projects (tenant_id, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING project_id"
_LISTS = "SELECT set_config('agentvoicebox.lists_tenants', 'yes', true)"


class TenantExists(ClientError):
    """The id is taken."""

    code = "tenant_exists"


class Tenant(msgspec.Struct, frozen=True):
    """A tenant as its administrators see it; limits and history are what it has of its own."""

    tenant_id: str
    name: str
    limits: TenantLimits
    history: OwnRules
    created_at: datetime
    suspended_at: datetime | None


class Project(msgspec.Struct, frozen=True):
    """A project of a tenant: a name under which some of its keys are kept together."""

    project_id: str
    created_at: datetime


class Tenants:
    """Reads and writes. A `deed` is the audit log's entry of a change, written with it or not at all."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def create(self, tenant_id: str, *, name: str = "", deed: AuditEntry | None = None) -> None:
        """Make a tenant.

        Raises:
            TenantExists: there is one with this id. ClientError: no tenant can be called so.
        """
        check_id(tenant_id, "tenant")
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            if await connection.fetchval(_CREATE, tenant_id, name) is None:
                raise TenantExists(f"There is a tenant {tenant_id} already.", param="id")
            await write(connection, tenant_id, deed)

    async def get(self, tenant_id: str) -> Tenant:
        """One tenant. Raises UnknownKey."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            row = await connection.fetchrow(_GET)
        if row is None:
            raise _unknown(tenant_id)
        return _tenant(row)

    async def list_tenants(self, *, after: str = "", most: int) -> list[Tenant]:
        """Tenants in the order of their ids, those that come after one of them."""
        async with self._postgres.tenant_transaction("") as connection:
            await connection.execute(_LISTS)
            rows = await connection.fetch(_LIST, after, most)
        return [_tenant(row) for row in rows]

    async def rename(self, tenant_id: str, name: str, *, deed: AuditEntry | None = None) -> None:
        """Give a tenant another name for people. Raises UnknownKey."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            if await connection.fetchval("UPDATE tenants SET name = $1 RETURNING tenant_id", name) is None:
                raise _unknown(tenant_id)
            await write(connection, tenant_id, deed)

    async def projects(self, tenant_id: str, *, after: str = "", most: int) -> list[Project]:
        """Projects of a tenant in the order of their ids, those that come after one of them."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            rows = await connection.fetch(_PROJECTS, after, most)
        return [Project(row["project_id"], row["created_at"]) for row in rows]

    async def has_project(self, tenant_id: str, project_id: str) -> bool:
        """Whether the tenant has a project of this id."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            return await connection.fetchval("SELECT 1 FROM projects WHERE project_id = $1", project_id) is not None

    async def add_project(self, tenant_id: str, project_id: str, *, deed: AuditEntry | None = None) -> Project:
        """Make a project, or find it made.

        Raises:
            UnknownKey: there is no such tenant. ClientError: no project can be called so.
        """
        check_id(project_id, "project")
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            if await connection.fetchrow(_GET) is None:
                raise _unknown(tenant_id)
            if await connection.fetchval(_PROJECT, tenant_id, project_id) is not None:
                await write(connection, tenant_id, deed)
            made = await connection.fetchval("SELECT created_at FROM projects WHERE project_id = $1", project_id)
        return Project(project_id, made)


def _tenant(row: Any) -> Tenant:
    limits = msgspec.json.decode(row["limits"], type=TenantLimits)
    history = own_rules(row["history"])
    return Tenant(row["tenant_id"], row["name"], limits, history, row["created_at"], row["suspended_at"])


def _unknown(tenant_id: str) -> UnknownKey:
    return UnknownKey(f"There is no tenant {tenant_id}.", code="tenant_not_found")
