"""`agentvoicebox keys`: tenants' API keys and limits. A key is shown once, when it is created.

Works on the database that `cli.database` finds. Every change is recorded in the tenant's audit log, in the same transaction.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Column

from agentvoicebox.cli.console import Commands, console, table
from agentvoicebox.cli.database import APPLIED_WITHIN, Found, command_entry, on_database
from agentvoicebox.errors import SettingsError
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.tenancy.api_keys import GRACE_S, ApiKeys, ListedKey, TenantLimits
from agentvoicebox.tenancy.key_format import LEAD, key_id, new_key, read_key
from agentvoicebox.tenancy.principal import DEFAULT_RIGHTS, RIGHTS, Right

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="API keys of tenants: create, list, rotate, revoke; suspend or limit a tenant. Used besides AVB_API_KEYS.",
)

Tenant = Annotated[str, typer.Option(help="The key's tenant: lower-case letters, digits and '-'.")]
Key = Annotated[str, typer.Argument(help="The key's prefix, as in `keys list` (or the whole key).")]


@app.command()
def create(
    tenant: Tenant = DEFAULT_TENANT,
    name: Annotated[str, typer.Option(help="A note, for example where the key is used.")] = "",
    project: Annotated[str, typer.Option(help="A project of the tenant.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help=f"A right of the key: {', '.join(RIGHTS)}. Repeatable.")
    ] = None,
    days: Annotated[float, typer.Option(min=0, help="Days of validity; 0: no expiry.")] = 0,
) -> None:
    """Create a key and show it, once. A new tenant is created with its first key.

    agentvoicebox keys create --tenant acme --name "web shop"

    A key for /v1/admin needs the scope admin. One of the tenant `default` administers every tenant, others their own:

    agentvoicebox keys create --scope admin --name "operations"
    """
    chosen = tuple(right for right in RIGHTS if right in scope) if scope else DEFAULT_RIGHTS
    unknown = sorted(set(scope or ()) - set(RIGHTS))
    if unknown:
        raise SettingsError(f"no such scope: {', '.join(unknown)}; there are {', '.join(RIGHTS)}")
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    key = new_key()

    async def work(keys: ApiKeys) -> None:
        rights: tuple[Right, ...] = chosen
        entry = command_entry("key.created", key_id(key.prefix))
        await keys.create(
            tenant, key, name=name, project_id=project or None, scopes=rights, expires_at=expires_at, audit_entry=entry
        )

    _do(work)
    _show_once(key.text, tenant)


@app.command("list")
def list_keys(tenant: Tenant = DEFAULT_TENANT) -> None:
    """List a tenant's keys; only their public prefixes are stored.

    The hash argon2id is an earlier version's; the key gets the present one when it is next used.
    """
    prefix, created = Column("prefix", no_wrap=True), Column("created", no_wrap=True)
    shown = table(prefix, "name", "project", "scopes", created, "state", "hash")
    for key in _do(lambda keys: keys.list_keys(tenant)):
        shown.add_row(
            key.prefix,
            key.name,
            key.project_id or "-",
            ", ".join(key.scopes),
            f"{key.created_at:%Y-%m-%d}",
            _state(key),
            "argon2id" if key.is_slow else "blake2b",
        )
    console.print(shown)


@app.command()
def rotate(
    key: Key,
    tenant: Tenant = DEFAULT_TENANT,
    grace_hours: Annotated[float, typer.Option(min=0, help="How long the old key stays valid.")] = GRACE_S / 3600,
) -> None:
    """Replace a key with a new one of the same rights; the old key stays valid for a while."""
    fresh = new_key()
    entry = command_entry("key.rotated", key_id(_prefix(key)))
    ends = _do(lambda keys: keys.rotate(tenant, _prefix(key), fresh, grace_s=grace_hours * 3600, audit_entry=entry))
    _show_once(fresh.text, tenant)
    console.print(f"The old key {_prefix(key)} is valid until {ends:%Y-%m-%d %H:%M} UTC at most.")


@app.command()
def revoke(key: Key, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Revoke a key: from now on it is refused."""
    entry = command_entry("key.revoked", key_id(_prefix(key)))
    _do(lambda keys: keys.revoke(tenant, _prefix(key), audit_entry=entry))
    console.print(f"Key {_prefix(key)} is revoked. {APPLIED_WITHIN}")


@app.command()
def suspend(
    tenant: Annotated[str, typer.Argument(help="The tenant.")],
    lift: Annotated[bool, typer.Option("--lift", help="Lift the suspension.")] = False,
) -> None:
    """Suspend a tenant with all its keys, or lift the suspension."""
    entry = command_entry("tenant.restored" if lift else "tenant.suspended", tenant)
    _do(lambda keys: keys.suspend(tenant, is_suspended=not lift, audit_entry=entry))
    console.print(f"Tenant {tenant} is {'active again' if lift else 'suspended'}. {APPLIED_WITHIN}")


@app.command()
def limit(
    tenant: Annotated[str, typer.Argument(help="The tenant.")],
    requests: Annotated[int | None, typer.Option(min=0, help="Requests within a window.")] = None,
    tokens: Annotated[int | None, typer.Option(min=0, help="Tokens of responses within a window.")] = None,
    window_s: Annotated[float | None, typer.Option(min=1, max=3600, help="The window's length in seconds.")] = None,
    sessions: Annotated[int | None, typer.Option(min=0, help="Sessions open at a time.")] = None,
    usual: Annotated[bool, typer.Option("--usual", help="Use the deployment's values again.")] = False,
) -> None:
    """Set a tenant's own limits instead of AVB_LIMIT_TENANT_…; missing values are those of the deployment.

    agentvoicebox keys limit acme --requests 6000 --tokens 200000
    """
    own = TenantLimits(requests, tokens, window_s, sessions)
    if usual != (own == TenantLimits()):
        raise SettingsError(
            "give values (--requests, --tokens, --window-s, --sessions), or --usual for the deployment's"
        )
    entry = command_entry("tenant.limited", tenant)
    _do(lambda keys: keys.set_limits(tenant, own, audit_entry=entry))
    console.print(f"Tenant {tenant} has {'the default limits' if usual else 'limits of its own'}. {APPLIED_WITHIN}")


def _do(work: Callable[[ApiKeys], Awaitable[Found]]) -> Found:
    return on_database(lambda postgres: work(ApiKeys(postgres)))


def _prefix(key: str) -> str:
    read = read_key(key)
    return read[0] if read is not None else key.removeprefix(LEAD)


def _show_once(text: str, tenant: str) -> None:
    console.print(f"A key of tenant {tenant}. It is shown only now; keep it safe:\n")
    console.print(f"  {text}\n", soft_wrap=True, markup=False)


def _state(key: ListedKey) -> str:
    now = datetime.now(UTC)
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is not None and key.expires_at <= now:
        return f"expired on {key.expires_at:%Y-%m-%d}"
    until = "" if key.expires_at is None else f" until {key.expires_at:%Y-%m-%d %H:%M}"
    return f"valid{until}" + (f", rotated to {key.rotated_to}" if key.rotated_to else "")
