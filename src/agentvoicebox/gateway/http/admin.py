"""`/v1/admin/…`: tenants, their projects, keys, usage and audit log, for holders of an admin key.

Decides addresses, and the policy action of each: an operator's key reaches every tenant, other keys their own. An unknown tenant
and another tenant's give the same 404. A change and its entry in the tenant's audit log are one transaction. `admin_bodies`
defines the bodies; `cli.tenants` and `cli.keys` do the same from the command line.
"""

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from agentvoicebox.clock import Clock
from agentvoicebox.errors import ClientError
from agentvoicebox.events.destinations import Destinations
from agentvoicebox.gateway.http.admin_bodies import (
    AuditBody,
    Each,
    KeyBody,
    Listed,
    NewKeyBody,
    NewTenant,
    ProjectBody,
    Rotation,
    ShownKey,
    TenantBody,
    TenantChange,
)
from agentvoicebox.gateway.http.admin_context import AdminContext
from agentvoicebox.gateway.http.admin_events import add_destinations
from agentvoicebox.gateway.http.admin_route import Admit, Conflict, admin_router
from agentvoicebox.gateway.http.history import DEFAULT_DAYS, MAX_DAYS, BadParameter, usage_report
from agentvoicebox.gateway.http.history_bodies import UsageBody
from agentvoicebox.http_server.described import answered, refusals
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.storage.audit import AuditLog
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import RetentionRules, RuleBook, TenantRules
from agentvoicebox.storage.usage import UsageReader
from agentvoicebox.storage.vault import Vault
from agentvoicebox.tenancy.api_keys import ApiKeys, TenantLimits, UnknownKey
from agentvoicebox.tenancy.audit_trail import GATE
from agentvoicebox.tenancy.key_format import key_id, new_key, prefix_of
from agentvoicebox.tenancy.principal import RIGHTS
from agentvoicebox.tenancy.tenants import Tenants

MAX_PAGE, DEFAULT_PAGE = 100, 20  # entries

TenantId = Annotated[str, Path(description="Id of the tenant.")]
ProjectId = Annotated[str, Path(description="Id of the project.")]
KeyId = Annotated[str, Path(description="Id of the key (`key_…`).")]
After = Annotated[
    str, Query(max_length=128, pattern=r"^[A-Za-z0-9_-]*$", description="Id of the last entry of the previous page.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
FirstDay = Annotated[date | None, Query(alias="from", description=f"{DEFAULT_DAYS} days back when absent.")]
LastDay = Annotated[date | None, Query(description="Included; today when absent.")]


def admin_routes(
    postgres: Postgres,
    decisions: Decisions,
    admit: Admit,
    *,
    rules: RuleBook | None = None,
    vault: Vault | None = None,
    clock: Clock | None = None,
) -> APIRouter:
    """The routes over one database.

    Args:
        postgres: the database.
        decisions: who may do what.
        admit: the owner of a request's key; raises Refused when it has no admin rights.
        rules: what becomes of tenants' records; by default without encryption.
        vault: encrypts the secrets of destinations; by default there are no keys, and none can be added.
        clock: for expiry and the audit log.
    """
    admin, tenants, keys = AdminContext(decisions, clock=clock), Tenants(postgres), ApiKeys(postgres, clock=clock)
    router = admin_router(admit)
    _add_tenants(router, admin, tenants, keys, rules or RuleBook(postgres, RetentionRules()))
    _add_projects(router, admin, tenants)
    _add_keys(router, admin, tenants, keys)
    _add_audit(router, admin, tenants, AuditLog(postgres))
    _add_usage(router, admin, tenants, UsageReader(postgres))
    add_destinations(router, admin, tenants, Destinations(postgres, vault or Vault()))
    return router


def _add_tenants(router: APIRouter, admin: AdminContext, tenants: Tenants, keys: ApiKeys, rules: RuleBook) -> None:
    @router.get("/tenants", summary="Tenants, by id", responses=refusals(400))
    async def list_tenants(request: Request, after: After = "", limit: Limit = DEFAULT_PAGE) -> Listed[TenantBody]:
        await admin.require(request, "admin.tenant.list", request.state.principal.tenant_id)
        found = await tenants.list_tenants(after=after, most=limit + 1)
        return _page([TenantBody.of(each) for each in found], limit)

    @router.post("/tenants", summary="Create a tenant", status_code=201, responses=refusals(400, 409))
    async def create_tenant(request: Request, body: NewTenant) -> TenantBody:
        await admin.require(request, "admin.tenant.create", body.id)
        await tenants.create(body.id, name=body.name, audit_entry=admin.audit_entry(request, "tenant.created", body.id))
        return TenantBody.of(await tenants.get(body.id))

    @router.get("/tenants/{tenant_id}", summary="One tenant", responses=refusals(404))
    async def get_tenant(request: Request, tenant_id: TenantId) -> TenantBody:
        await admin.require(request, "admin.tenant.read", tenant_id)
        return TenantBody.of(await tenants.get(tenant_id))

    @router.patch(
        "/tenants/{tenant_id}",
        summary="Rename a tenant, or give it limits or rules of its own",
        responses=refusals(400, 404),
    )
    async def change_tenant(request: Request, tenant_id: TenantId, body: TenantChange) -> TenantBody:
        await admin.require(request, "admin.tenant.change", tenant_id)
        await tenants.get(tenant_id)
        if body.history is not None:  # first, because only this one may be refused
            kept = body.history.model_dump(exclude_none=True)
            await rules.set(
                tenant_id,
                TenantRules(**kept),
                audit_entry=admin.audit_entry(request, "tenant.rules", tenant_id, history=kept),
            )
        if body.name is not None:
            await tenants.rename(
                tenant_id, body.name, audit_entry=admin.audit_entry(request, "tenant.renamed", tenant_id)
            )
        if body.limits is not None:
            own = body.limits.model_dump(exclude_none=True)
            entry = admin.audit_entry(request, "tenant.limited", tenant_id, limits=own)
            await keys.set_limits(tenant_id, TenantLimits(**own), audit_entry=entry)
        return TenantBody.of(await tenants.get(tenant_id))

    @router.post(
        "/tenants/{tenant_id}/suspend",
        summary="Suspend a tenant; its sessions end within a minute",
        responses=refusals(404, 409),
    )
    async def suspend(request: Request, tenant_id: TenantId) -> TenantBody:
        await admin.require(request, "admin.tenant.change", tenant_id)
        if tenant_id == request.state.principal.tenant_id:
            raise Conflict("A key can't suspend its own tenant.", code="own_tenant")
        await keys.suspend(tenant_id, audit_entry=admin.audit_entry(request, "tenant.suspended", tenant_id))
        return TenantBody.of(await tenants.get(tenant_id))

    @router.post("/tenants/{tenant_id}/resume", summary="Lift a suspension", responses=refusals(404))
    async def resume(request: Request, tenant_id: TenantId) -> TenantBody:
        await admin.require(request, "admin.tenant.change", tenant_id)
        await keys.suspend(
            tenant_id, is_suspended=False, audit_entry=admin.audit_entry(request, "tenant.restored", tenant_id)
        )
        return TenantBody.of(await tenants.get(tenant_id))


def _add_projects(router: APIRouter, admin: AdminContext, tenants: Tenants) -> None:
    @router.get("/tenants/{tenant_id}/projects", summary="Projects of a tenant, by id", responses=refusals(400, 404))
    async def list_projects(
        request: Request, tenant_id: TenantId, after: After = "", limit: Limit = DEFAULT_PAGE
    ) -> Listed[ProjectBody]:
        await admin.require(request, "admin.project.read", tenant_id)
        await tenants.get(tenant_id)
        found = await tenants.projects(tenant_id, after=after, most=limit + 1)
        return _page([ProjectBody.of(each) for each in found], limit)

    @router.put(
        "/tenants/{tenant_id}/projects/{project_id}",
        summary="Create a project; idempotent",
        responses=refusals(400, 404),
    )
    async def add_project(request: Request, tenant_id: TenantId, project_id: ProjectId) -> ProjectBody:
        await admin.require(request, "admin.project.create", tenant_id, project_id)
        entry = admin.audit_entry(request, "project.created", project_id)
        return ProjectBody.of(await tenants.add_project(tenant_id, project_id, audit_entry=entry))


def _add_keys(router: APIRouter, admin: AdminContext, tenants: Tenants, keys: ApiKeys) -> None:
    @router.get(
        "/tenants/{tenant_id}/keys",
        summary="Keys of a tenant, the oldest first, revoked ones too",
        responses=refusals(400, 404),
    )
    async def list_keys(
        request: Request, tenant_id: TenantId, after: After = "", limit: Limit = DEFAULT_PAGE
    ) -> Listed[KeyBody]:
        await admin.require(request, "admin.key.read", tenant_id)
        await tenants.get(tenant_id)
        prefix = _prefix(after, tenant_id) if after else ""
        found = await keys.list_keys(tenant_id, after=prefix, most=limit + 1)
        return _page([KeyBody.of(each) for each in found], limit)

    @router.post(
        "/tenants/{tenant_id}/keys",
        summary="Create a key; only this answer shows its secret",
        status_code=201,
        responses=refusals(400, 404),
    )
    async def create_key(request: Request, tenant_id: TenantId, body: NewKeyBody) -> ShownKey:
        await admin.require(request, "admin.key.create", tenant_id)
        await tenants.get(tenant_id)
        if body.project_id is not None and not await tenants.has_project(tenant_id, body.project_id):
            raise ClientError("The tenant has no such project.", code="project_not_found", param="project_id")
        scopes = tuple(right for right in RIGHTS if right in body.scopes)
        key = new_key()
        await keys.create(
            tenant_id,
            key,
            name=body.name,
            project_id=body.project_id,
            scopes=scopes,
            expires_at=admin.in_s(body.expires_after_s),
            audit_entry=admin.audit_entry(request, "key.created", key_id(key.prefix), scopes=scopes),
        )
        return _shown(await _key(tenant_id, key.prefix), key.text)

    @router.get("/tenants/{tenant_id}/keys/{key_id}", summary="One key", responses=refusals(404))
    async def get_key(request: Request, tenant_id: TenantId, id: Annotated[str, Path(alias="key_id")]) -> KeyBody:
        await admin.require(request, "admin.key.read", tenant_id)
        return await _key(tenant_id, _prefix(id, tenant_id))

    @router.post(
        "/tenants/{tenant_id}/keys/{key_id}/rotate",
        summary="Replace a key by a new one",
        status_code=201,
        responses=refusals(400, 404),
    )
    async def rotate_key(
        request: Request, tenant_id: TenantId, id: Annotated[str, Path(alias="key_id")], body: Rotation | None = None
    ) -> ShownKey:
        await admin.require(request, "admin.key.rotate", tenant_id, id)
        key = new_key()
        entry = admin.audit_entry(request, "key.rotated", id, to=key_id(key.prefix))
        grace_s = (body or Rotation()).grace_s
        await keys.rotate(tenant_id, _prefix(id, tenant_id), key, grace_s=grace_s, audit_entry=entry)
        return _shown(await _key(tenant_id, key.prefix), key.text)

    @router.delete(
        "/tenants/{tenant_id}/keys/{key_id}",
        summary="Revoke a key; it is refused within a minute",
        responses=refusals(404),
    )
    async def revoke_key(request: Request, tenant_id: TenantId, id: Annotated[str, Path(alias="key_id")]) -> KeyBody:
        await admin.require(request, "admin.key.revoke", tenant_id, id)
        await keys.revoke(tenant_id, _prefix(id, tenant_id), audit_entry=admin.audit_entry(request, "key.revoked", id))
        return await _key(tenant_id, _prefix(id, tenant_id))

    async def _key(tenant_id: str, prefix: str) -> KeyBody:
        return KeyBody.of(await keys.get(tenant_id, prefix))


def _add_audit(router: APIRouter, admin: AdminContext, tenants: Tenants, audit: AuditLog) -> None:
    async def page(tenant_id: str, after: str, limit: int) -> Listed[AuditBody]:
        if after:
            found = await audit.before(tenant_id, after, limit=limit + 1)
        else:
            found = await audit.latest(tenant_id, limit=limit + 1)
        return _page([AuditBody.of(each) for each in found], limit)

    @router.get(
        "/tenants/{tenant_id}/audit", summary="A tenant's audit log, the newest first", responses=refusals(400, 404)
    )
    async def read_audit(
        request: Request, tenant_id: TenantId, after: After = "", limit: Limit = DEFAULT_PAGE
    ) -> Listed[AuditBody]:
        await admin.require(request, "admin.audit.read", tenant_id)
        await tenants.get(tenant_id)
        return await page(tenant_id, after, limit)

    @router.get("/gate/audit", summary="Attempts with unknown keys, the newest first", responses=refusals(400))
    async def read_gate(request: Request, after: After = "", limit: Limit = DEFAULT_PAGE) -> Listed[AuditBody]:
        await admin.require(request, "admin.gate.read", request.state.principal.tenant_id)
        return await page(GATE, after, limit)


def _add_usage(router: APIRouter, admin: AdminContext, tenants: Tenants, usage: UsageReader) -> None:
    @router.get(
        "/tenants/{tenant_id}/usage",
        summary="What a tenant used, by day (UTC)",
        responses={**refusals(400, 404), **answered(UsageBody, "The days with any usage, and their sum.")},
        response_model=None,
    )
    async def read_usage(
        request: Request, tenant_id: TenantId, first: FirstDay = None, to: LastDay = None
    ) -> dict[str, Any]:
        await admin.require(request, "admin.usage.read", tenant_id)
        await tenants.get(tenant_id)
        last_day = to or admin.today()
        first_day = first or last_day - timedelta(days=DEFAULT_DAYS - 1)
        if not timedelta(0) <= last_day - first_day < timedelta(days=MAX_DAYS):
            raise BadParameter(f"From `from` to `to` there are 1 to {MAX_DAYS} days.", param="from")
        return usage_report(first_day, last_day, await usage.by_day(tenant_id, first_day, last_day))


def _page(found: list[Each], limit: int) -> Listed[Each]:
    """A page; `found` has one entry more when there is a next page."""
    data = found[:limit]
    ends = {"first_id": data[0].id, "last_id": data[-1].id} if data else {"first_id": None, "last_id": None}
    return Listed(data=data, has_more=len(found) > limit, **ends)


def _shown(key: KeyBody, text: str) -> ShownKey:
    return ShownKey(**key.model_dump(), key=text)


def _prefix(id: str, tenant_id: str) -> str:
    prefix = prefix_of(id) if id.startswith("key_") else None
    if prefix is None:
        raise UnknownKey(f"Tenant {tenant_id} has no key {id[:64]!r}.")
    return prefix
