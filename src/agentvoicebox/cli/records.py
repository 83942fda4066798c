"""`agentvoicebox records`: the rules of what is kept of a tenant's calls, and what the tenant used.

Works on the database that `keys` works on. A change of rules stands in the tenant's audit log.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from agentvoicebox.cli.console import Commands, console
from agentvoicebox.cli.database import by_command, on_database
from agentvoicebox.errors import SettingsError
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import OwnRules, RuleBook, usual_rules
from agentvoicebox.storage.usage import Usage

app = typer.Typer(cls=Commands, no_args_is_help=True, help="What is kept of tenants' calls, and what tenants used.")

USUAL_DAYS = 30

Tenant = Annotated[str, typer.Option(help="Whose calls.")]


@app.command()
def rules(
    tenant: Tenant = DEFAULT_TENANT,
    days: Annotated[int | None, typer.Option(min=1, max=3_650, help="How long calls are kept.")] = None,
    audit_days: Annotated[
        int | None, typer.Option(min=1, max=3_650, help="How long the audit log and usage are kept.")
    ] = None,
    words: Annotated[str | None, typer.Option(help="What becomes of words: keep, mask or encrypt.")] = None,
    usual: Annotated[bool, typer.Option("--usual", help="First drop the tenant's own rules.")] = False,
) -> None:
    """Show the rules of a tenant, or change those that are named.

    agentvoicebox records rules --tenant acme --days 30 --words mask
    """
    settings = load_settings()
    asked = {"days": days, "audit_days": audit_days, "words": words}
    try:
        given = msgspec.convert({name: value for name, value in asked.items() if value is not None}, OwnRules)
    except msgspec.ValidationError as error:
        raise SettingsError("words are one of keep, mask, encrypt") from error

    async def work(postgres: Postgres) -> None:
        book = RuleBook(postgres, usual_rules(settings), can_encrypt=bool(settings.history_keys))
        if given != OwnRules() or usual:
            before = OwnRules() if usual else await book.own(tenant)
            await book.set(tenant, given.over_own(before), deed=by_command("tenant.rules", tenant))
        own, all_rules = await book.own(tenant), await book.of(tenant)
        table = Table("rule", "holds", "", title=f"Tenant {tenant}")
        for name, value in msgspec.structs.asdict(all_rules).items():
            table.add_row(name, str(value), "" if getattr(own, name) is None else "its own")
        console.print(table)

    on_database(work)


@app.command()
def usage(
    tenant: Tenant = DEFAULT_TENANT,
    days: Annotated[int, typer.Option(min=1, max=366, help="So many days, today included.")] = USUAL_DAYS,
) -> None:
    """Show what a tenant used, by day (UTC)."""

    async def work(postgres: Postgres) -> None:
        today = datetime.now(UTC).date()
        found = await Usage(postgres).by_day(tenant, today - timedelta(days=days - 1), today)
        titles = ("day", "sessions", "minutes", "audio in s", "audio out s", "tokens in", "tokens out")
        table = Table(*titles, title=f"Tenant {tenant}")
        for day in found:
            sound = (f"{day.connected_s / 60:.1f}", f"{day.audio_in_s:.1f}", f"{day.audio_out_s:.1f}")
            table.add_row(str(day.day), str(day.sessions), *sound, str(day.input_tokens), str(day.output_tokens))
        console.print(table)

    on_database(work)
