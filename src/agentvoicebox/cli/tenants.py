"""`agentvoicebox tenants`: tenants and their audit log. Like `/v1/admin`, but on the machine itself and without a key.

Keys are managed by `agentvoicebox keys`. Every change is recorded in the tenant's audit log, in the same transaction.
"""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.table import Column, Table

from agentvoicebox.cli import keys
from agentvoicebox.cli.console import Commands, console, table
from agentvoicebox.cli.database import command_entry, on_database
from agentvoicebox.storage.audit import AuditEntry, AuditLog
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import TenantRules
from agentvoicebox.tenancy.api_keys import TenantLimits
from agentvoicebox.tenancy.audit_trail import GATE
from agentvoicebox.tenancy.tenants import Project, Tenant, Tenants

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Tenants: create, list, show, rename, suspend, limit; their projects and audit log.",
)

AT_ONCE = 100  # rows of one query

TenantName = Annotated[str, typer.Argument(metavar="TENANT", help="Lower-case letters, digits and '-'.")]


@app.command()
def create(
    tenant: TenantName, name: Annotated[str, typer.Option(help="Display name, for example the company's name.")] = ""
) -> None:
    """Create a tenant. Then create a key for it: `agentvoicebox keys create --tenant TENANT`.

    agentvoicebox tenants create acme --name "Acme Ltd"
    """
    entry = command_entry("tenant.created", tenant)
    on_database(lambda postgres: Tenants(postgres).create(tenant, name=name, audit_entry=entry))
    console.print(f"Created tenant {tenant}.", markup=False)


@app.command("list")
def list_tenants() -> None:
    """List all tenants and their state."""

    async def read(postgres: Postgres) -> list[Tenant]:
        found: list[Tenant] = []
        while page := await Tenants(postgres).list_tenants(after=found[-1].tenant_id if found else "", most=AT_ONCE):
            found += page
        return found

    tenant, created = Column("tenant", no_wrap=True), Column("created", no_wrap=True)
    shown = table(tenant, "name", created, "limits of its own", "state")
    for each in on_database(read):
        shown.add_row(each.tenant_id, each.name, f"{each.created_at:%Y-%m-%d}", _limits(each.limits), _state(each))
    console.print(shown)


@app.command()
def show(tenant: TenantName) -> None:
    """Show one tenant with its limits and projects."""

    async def read(postgres: Postgres) -> tuple[Tenant, list[Project]]:
        tenants = Tenants(postgres)
        return await tenants.get(tenant), await tenants.projects(tenant, most=AT_ONCE)

    found, projects = on_database(read)
    shown = Table(show_header=False, box=None)
    for what, value in (
        ("tenant", found.tenant_id),
        ("name", found.name or "-"),
        ("created", f"{found.created_at:%Y-%m-%d %H:%M} UTC"),
        ("state", _state(found)),
        ("limits of its own", _limits(found.limits)),
        ("records", _retention(found.history)),
        ("projects", ", ".join(each.project_id for each in projects) or "-"),
    ):
        shown.add_row(what, value)
    console.print(shown)


@app.command()
def rename(tenant: TenantName, name: Annotated[str, typer.Argument(help="The new display name.")]) -> None:
    """Change a tenant's display name; the id does not change."""
    entry = command_entry("tenant.renamed", tenant)
    on_database(lambda postgres: Tenants(postgres).rename(tenant, name, audit_entry=entry))
    console.print(f"Tenant {tenant} is now named {name!r}.", markup=False)


@app.command()
def project(tenant: TenantName, project: Annotated[str, typer.Argument(metavar="PROJECT", help="Its id.")]) -> None:
    """Create a project: a group of a tenant's keys (`keys create --project`)."""
    entry = command_entry("project.created", project)
    on_database(lambda postgres: Tenants(postgres).add_project(tenant, project, audit_entry=entry))
    console.print(f"Tenant {tenant} has the project {project}.", markup=False)


@app.command()
def audit(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Empty with --gate.")] = "",
    last: Annotated[int, typer.Option(min=1, max=1000, help="Number of entries.")] = 20,
    gate: Annotated[bool, typer.Option("--gate", help="Show attempts with keys that belong to no tenant.")] = False,
) -> None:
    """Show a tenant's audit log, newest first: changes, and refused attempts with its keys.

    agentvoicebox tenants audit acme --last 100
    """
    if gate == bool(tenant):
        raise typer.BadParameter("give a tenant, or --gate")

    async def read(postgres: Postgres) -> list[AuditEntry]:
        if not gate:
            await Tenants(postgres).get(tenant)
        return await AuditLog(postgres).latest(GATE if gate else tenant, limit=last)

    shown = table(Column("when (UTC)", no_wrap=True), "actor", "action", "subject", "details")
    for each in on_database(read):
        at = datetime.fromtimestamp(each.at_s, UTC)
        details = ", ".join(f"{name}: {value}" for name, value in each.body.items())
        shown.add_row(f"{at:%Y-%m-%d %H:%M:%S}", each.actor, each.action, each.subject, details)
    console.print(shown)


# The same commands as in `keys`.
app.command("suspend")(keys.suspend)
app.command("limit")(keys.limit)


def _limits(limits: TenantLimits) -> str:
    figures = msgspec.structs.asdict(limits)
    return ", ".join(f"{name} {figure:g}" for name, figure in figures.items() if figure is not None) or "-"


def _retention(own: TenantRules) -> str:
    rules = {"days": own.days, "audit days": own.audit_days, "words": own.words}
    return ", ".join(f"{name} {value}" for name, value in rules.items() if value is not None) or "the defaults"


def _state(tenant: Tenant) -> str:
    return "active" if tenant.suspended_at is None else f"suspended since {tenant.suspended_at:%Y-%m-%d %H:%M}"
