"""`agentvoicebox events`: where a tenant's events go. Like `/v1/admin/tenants/…/destinations`, but on the machine itself.

Every change is recorded in the tenant's audit log, in the same transaction.
"""

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Column

from agentvoicebox.cli.console import Commands, console, table
from agentvoicebox.cli.database import command_entry, on_database
from agentvoicebox.errors import SettingsError
from agentvoicebox.events.destinations import Destinations, ListedDestination, Trial, new_destination_id
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.ports.event_sink import DestinationKind
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.vault import Vault
from agentvoicebox.tenancy.tenants import Tenants

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Events for other systems, as signed webhooks or to Kafka: add, list, test and remove destinations; replay events.",
)

KAFKA = "kafka:"
POLL_S = 0.2
UNITS_S = {"m": 60, "h": 3_600, "d": 86_400}
AGO = re.compile(r"(\d{1,5})([mhd])")

Tenant = Annotated[str, typer.Option(help="The tenant.")]
DestinationArgument = Annotated[
    str, typer.Argument(metavar="DESTINATION", help="Its id, as in `agentvoicebox events list`.")
]


@app.command()
def add(
    target: Annotated[
        str, typer.Argument(metavar="URL", help="Of a webhook; or kafka:TOPIC, a topic of AVB_EVENTS_KAFKA's cluster.")
    ],
    tenant: Tenant = DEFAULT_TENANT,
    type: Annotated[
        list[str] | None,
        typer.Option(help="Only events of this type, or group (agentvoicebox.tool.*). Repeatable. Default: all."),
    ] = None,
    secret: Annotated[
        str, typer.Option(envvar="WEBHOOK_SECRET", help="The receiver's own secret, whsec_…; default: a new one.")
    ] = "",
) -> None:
    """Send a tenant's events to a URL, from now on, and show the secret that verifies them, once.

    agentvoicebox events add https://example.com/webhooks --type "agentvoicebox.session.*"

    agentvoicebox events add kafka:calls --tenant acme

    The secret is stored encrypted, with the first key of AVB_HISTORY_KEYS. docs/events.md shows how to verify signatures.
    """
    settings = load_settings()
    kind: DestinationKind = "kafka" if target.startswith(KAFKA) else "webhook"
    if kind == "kafka" and not settings.kafka_brokers:
        raise SettingsError("set AVB_EVENTS_KAFKA to the brokers of your cluster, for example broker-1:9092")
    destination_id = new_destination_id()

    async def work(postgres: Postgres) -> str:
        if tenant != DEFAULT_TENANT:
            await Tenants(postgres).get(tenant)
        made = await _destinations(postgres).add(
            tenant,
            kind,
            target.removeprefix(KAFKA),
            types=tuple(type or ()),
            secret=secret,
            destination_id=destination_id,
            audit_entry=command_entry("destination.added", destination_id),
        )
        return made.secret

    shown = on_database(work)
    console.print(f"Events of tenant {tenant} go to {destination_id} from now on.", markup=False)
    if shown and not secret:
        console.print("Its secret verifies their signatures. It is shown only now; keep it safe:\n")
        console.print(f"  {shown}\n", soft_wrap=True, markup=False)
    console.print(f"Try it: agentvoicebox events test {destination_id}{_of(tenant)}", soft_wrap=True, markup=False)


@app.command("list")
def list_destinations(tenant: Tenant = DEFAULT_TENANT) -> None:
    """List a tenant's destinations, how many events each has not had, and why."""
    found = on_database(lambda postgres: _destinations(postgres).list_all(tenant))
    shown = table(
        Column("destination", no_wrap=True),
        Column("target", overflow="fold"),
        Column("types", overflow="fold"),
        Column("waiting", justify="right"),
        Column("dead", justify="right"),
        "last problem",
        title=f"Tenant {tenant}",
    )
    for each in found:
        shown.add_row(
            each.destination_id,
            _target(each),
            ", ".join(each.types) or "all",
            str(each.waiting),
            str(each.dead),
            each.problem,
        )
    console.print(shown)


@app.command()
def remove(destination: DestinationArgument, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Remove a destination. Events that it has not had are not sent."""
    entry = command_entry("destination.removed", destination)
    on_database(lambda postgres: _destinations(postgres).remove(tenant, destination, audit_entry=entry))
    console.print(f"Destination {destination} is removed.", markup=False)


@app.command("test")
def try_out(
    destination: DestinationArgument,
    tenant: Tenant = DEFAULT_TENANT,
    wait_s: Annotated[float, typer.Option(min=0, max=300, help="Seconds to wait for the outcome.")] = 15,
) -> None:
    """Send a test event the way that all events go, and say what became of it. A running server delivers it.

    Exit code 1 when it was not taken.
    """

    async def work(postgres: Postgres) -> Trial:
        destinations = _destinations(postgres)
        event_id = await destinations.try_out(tenant, destination)
        until_s = time.monotonic() + wait_s
        while True:
            trial = await destinations.trial(tenant, destination, event_id)
            if trial.is_delivered or trial.problem or time.monotonic() >= until_s:
                return trial
            await asyncio.sleep(POLL_S)

    trial = on_database(work)
    if trial.is_delivered:
        console.print("Delivered: the receiver took the event agentvoicebox.test.")
        return
    if trial.problem:
        console.print(f"Not delivered: {trial.problem}. It is tried again.", markup=False, soft_wrap=True)
    else:
        console.print(
            "Not sent yet: is a server running (`agentvoicebox serve`, or `serve --role events`)? It is sent as soon as one is.",
            soft_wrap=True,
        )
    raise typer.Exit(1)


@app.command()
def replay(
    destination: DestinationArgument,
    tenant: Tenant = DEFAULT_TENANT,
    since: Annotated[
        str, typer.Option(help="Events since then: 30m, 12h, 2d (ago), or a time in UTC: 2026-11-30T08:00.")
    ] = "",
    dead: Annotated[bool, typer.Option("--dead", help="The events that the receiver did not take in time.")] = False,
) -> None:
    """Send events again, with the ids that they had: those since a time, or the dead ones.

    agentvoicebox events replay dest_0a1b2c3d4e5f6071 --since 12h

    Events are kept for AVB_EVENTS_DAYS. Receivers that remember ids drop what they have had.
    """
    if dead == bool(since):
        raise typer.BadParameter("give --since, or --dead")
    entry = command_entry("destination.replayed", destination)
    if dead:
        count = on_database(
            lambda postgres: _destinations(postgres).replay_dead(tenant, destination, audit_entry=entry)
        )
    else:
        at = _time(since, datetime.now(UTC))
        count = on_database(
            lambda postgres: _destinations(postgres).replay_since(tenant, destination, at, audit_entry=entry)
        )
    console.print(f"{count} {'event is' if count == 1 else 'events are'} sent again.")


def _destinations(postgres: Postgres) -> Destinations:
    return Destinations(postgres, Vault(load_settings().history_key_list))


def _of(tenant: str) -> str:
    return "" if tenant == DEFAULT_TENANT else f" --tenant {tenant}"


def _target(destination: ListedDestination) -> str:
    return KAFKA + destination.target if destination.kind == "kafka" else destination.target


def _time(text: str, now: datetime) -> datetime:
    """A time from `12h` or ISO 8601. Raises BadParameter."""
    if match := AGO.fullmatch(text):
        return now - timedelta(seconds=int(match[1]) * UNITS_S[match[2]])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("--since should be like 30m, 12h, 2d or 2026-11-30T08:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
