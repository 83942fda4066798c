"""`agentvoicebox tenants`: tenants and their audit log. What `/v1/admin` does, on the machine itself and without a key.

Keys are `agentvoicebox keys`' affair. Every change stands in the tenant's audit log, with it or not at all.
"""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from agentvoicebox.cli import keys
from agentvoicebox.cli.console import Commands, console
from agentvoicebox.cli.database import by_command, on_database
from agentvoicebox.storage.audit import AuditEntry, AuditLog
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import OwnRules
from agentvoicebox.tenancy.api_keys import TenantLimits
from agentvoicebox.tenancy.audit_trail import GATE
from agentvoicebox.tenancy.tenants import Project, Tenant, Tenants

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Tenants: make, list, show, rename, suspend, limit; their projects and audit log.",
)

AT_ONCE = 100  # rows of one query

TenantName = Annotated[str, typer.Argument(metavar="TENANT", help="Small letters, digits and '-'.")]


@app.command()
def create(
    tenant: TenantName, name: Annotated[str, typer.Option(help="For people, for example the company's name.")] = ""
) -> None:
    """Make a tenant. It can call nothing until it has a key: `agentvoicebox keys create --tenant TENANT`.

    agentvoicebox tenants create acme --name "Acme Ltd"
    """
    entry = by_command("tenant.created", tenant)
    on_database(lambda postgres: Tenants(postgres).create(tenant, name=name, deed=entry))
    console.print(f"Made tenant {tenant}.", markup=False)


@app.command("list")
def list_tenants() -> None:
    """Every tenant, and whether it is suspended."""

    async def read(postgres: Postgres) -> list[Tenant]:
        found: list[Tenant] = []
        while page := await Tenants(postgres).list_tenants(after=found[-1].tenant_id if found else "", most=AT_ONCE):
            found += page
        return found

    table = Table("tenant", "name", "made", "limits of its own", "state")
    for each in on_database(read):
        table.add_row(each.tenant_id, each.name, f"{each.created_at:%Y-%m-%d}", _limits(each.limits), _state(each))
    console.print(table)


@app.command()
def show(tenant: TenantName) -> None:
    """One tenant with its limits and projects."""

    async def read(postgres: Postgres) -> tuple[Tenant, list[Project]]:
        tenants = Tenants(postgres)
        return await tenants.get(tenant), await tenants.projects(tenant, most=AT_ONCE)

    found, projects = on_database(read)
    table = Table(show_header=False, box=None)
    for what, told in (
        ("tenant", found.tenant_id),
        ("name", found.name or "-"),
        ("made", f"{found.created_at:%Y-%m-%d %H:%M} UTC"),
        ("state", _state(found)),
        ("limits of its own", _limits(found.limits)),
        ("records", _kept(found.history)),
        ("projects", ", ".join(each.project_id for each in projects) or "-"),
    ):
        table.add_row(what, told)
    console.print(table)


@app.command()
def rename(tenant: TenantName, name: Annotated[str, typer.Argument(help="For people.")]) -> None:
    """Give a tenant another name for people; its id stays."""
    entry = by_command("tenant.renamed", tenant)
    on_database(lambda postgres: Tenants(postgres).rename(tenant, name, deed=entry))
    console.print(f"Tenant {tenant} is called {name!r} now.", markup=False)


@app.command()
def project(tenant: TenantName, project: Annotated[str, typer.Argument(metavar="PROJECT", help="Its id.")]) -> None:
    """Make a project, under whose name some of a tenant's keys are kept together (`keys create --project`)."""
    entry = by_command("project.created", project)
    on_database(lambda postgres: Tenants(postgres).add_project(tenant, project, deed=entry))
    console.print(f"Tenant {tenant} has the project {project}.", markup=False)


@app.command()
def audit(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Empty with --gate.")] = "",
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many entries.")] = 20,
    gate: Annotated[bool, typer.Option("--gate", help="Attempts with keys that belong to nobody.")] = False,
) -> None:
    """What was done and tried in a tenant's name, the newest first.

    agentvoicebox tenants audit acme --last 100
    """
    if gate == bool(tenant):
        raise typer.BadParameter("name a tenant, or say --gate")

    async def read(postgres: Postgres) -> list[AuditEntry]:
        if not gate:
            await Tenants(postgres).get(tenant)
        return await AuditLog(postgres).latest(GATE if gate else tenant, limit=last)

    table = Table("when (UTC)", "who", "what", "of what", "details")
    for each in on_database(read):
        at = datetime.fromtimestamp(each.at_s, UTC)
        details = ", ".join(f"{name}: {value}" for name, value in each.body.items())
        table.add_row(f"{at:%Y-%m-%d %H:%M:%S}", each.actor, each.action, each.subject, details)
    console.print(table)


# The same commands as in `keys`, where they were first.
app.command("suspend")(keys.suspend)
app.command("limit")(keys.limit)


def _limits(limits: TenantLimits) -> str:
    figures = msgspec.structs.asdict(limits)
    return ", ".join(f"{name} {figure:g}" for name, figure in figures.items() if figure is not None) or "-"


def _kept(own: OwnRules) -> str:
    told = {"days": own.days, "audit days": own.audit_days, "words": own.words}
    return ", ".join(f"{name} {value}" for name, value in told.items() if value is not None) or "what is usual"


def _state(tenant: Tenant) -> str:
    return "good" if tenant.suspended_at is None else f"suspended since {tenant.suspended_at:%Y-%m-%d %H:%M}"
