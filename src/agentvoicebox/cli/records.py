"""`agentvoicebox records`: retention rules of a tenant's calls, and the tenant's usage.

Works on the same database as `keys`. A change of rules is recorded in the tenant's audit log.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer
from rich.table import Column

from agentvoicebox.cli.console import Commands, console, table
from agentvoicebox.cli.database import command_entry, on_database
from agentvoicebox.errors import SettingsError
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import RuleBook, TenantRules, default_rules
from agentvoicebox.storage.usage import UsageReader

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Retention rules of tenants' calls, and tenants' usage.")

USUAL_DAYS = 30

Tenant = Annotated[str, typer.Option(help="The tenant.")]


@app.command()
def rules(
    tenant: Tenant = DEFAULT_TENANT,
    days: Annotated[int | None, typer.Option(min=1, max=3_650, help="Days that calls are stored.")] = None,
    audit_days: Annotated[
        int | None, typer.Option(min=1, max=3_650, help="Days that the audit log and usage are stored.")
    ] = None,
    words: Annotated[str | None, typer.Option(help="Rule for words: keep, mask or encrypt.")] = None,
    audio: Annotated[bool | None, typer.Option(help="Whether the audio of calls is stored.")] = None,
    usual: Annotated[bool, typer.Option("--usual", help="First remove the tenant's own rules.")] = False,
) -> None:
    """Show the rules of a tenant, or change the given ones.

    agentvoicebox records rules --tenant acme --days 30 --words mask
    """
    settings = load_settings()
    asked = {"days": days, "audit_days": audit_days, "words": words, "audio": audio}
    try:
        given = msgspec.convert({name: value for name, value in asked.items() if value is not None}, TenantRules)
    except msgspec.ValidationError as error:
        raise SettingsError("--words should be keep, mask or encrypt") from error

    async def work(postgres: Postgres) -> None:
        book = RuleBook(postgres, default_rules(settings), can_encrypt=bool(settings.history_keys))
        if given != TenantRules() or usual:
            before = TenantRules() if usual else await book.own(tenant)
            await book.set(tenant, given.over_own(before), audit_entry=command_entry("tenant.rules", tenant))
        own, all_rules = await book.own(tenant), await book.of(tenant)
        shown = table("rule", "value", "", title=f"Tenant {tenant}")
        for name, value in msgspec.structs.asdict(all_rules).items():
            shown.add_row(name, str(value), "" if getattr(own, name) is None else "its own")
        console.print(shown)

    on_database(work)


@app.command()
def usage(
    tenant: Tenant = DEFAULT_TENANT,
    days: Annotated[int, typer.Option(min=1, max=366, help="Number of days, today included.")] = USUAL_DAYS,
) -> None:
    """Show a tenant's usage, by day (UTC)."""

    async def work(postgres: Postgres) -> None:
        today = datetime.now(UTC).date()
        found = await UsageReader(postgres).by_day(tenant, today - timedelta(days=days - 1), today)
        numbers = ("sessions", "minutes", "audio in s", "audio out s", "tokens in", "tokens out")
        columns = [Column(each, justify="right") for each in numbers]
        shown = table(Column("day", no_wrap=True), *columns, title=f"Tenant {tenant}")
        for day in found:
            sound = (f"{day.connected_s / 60:.1f}", f"{day.audio_in_s:.1f}", f"{day.audio_out_s:.1f}")
            shown.add_row(str(day.day), str(day.sessions), *sound, str(day.input_tokens), str(day.output_tokens))
        console.print(shown)

    on_database(work)
