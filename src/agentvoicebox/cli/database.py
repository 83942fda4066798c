"""The database of administrative commands: that of AVB_POSTGRES_URL, or the embedded one of the running local server.

An embedded database is found by its socket; only the server starts and stops it.
"""

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from agentvoicebox.errors import SettingsError, StorageLost
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.settings import Settings
from agentvoicebox.settings.values import without_password
from agentvoicebox.storage.audit import AuditEntry, new_entry
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.embedded.data_folder import POSTGRES_PORT

ACTOR = "cli"
APPLIED_WITHIN = "Running servers apply this within a minute."

Found = TypeVar("Found")


def on_database(work: Callable[[Postgres], Awaitable[Found]]) -> Found:
    """Run one function on the database, after migrating it.

    Raises:
        SettingsError: no database is configured, and no local server is running. StorageLost, StorageRefused.
    """
    settings = load_settings()
    url = database_url(settings)

    async def run() -> Found:
        from agentvoicebox.storage.migrate import migrate  # late: Alembic takes a second to load

        try:
            await migrate(url)
        except StorageLost as error:
            where = f"AVB_POSTGRES_URL={without_password(settings.postgres_url)}: " if settings.postgres_url else ""
            raise StorageLost(f"{where}{error.message}") from error
        postgres = await Postgres.open(url, most_connections=1)
        try:
            return await work(postgres)
        finally:
            await postgres.close()

    return asyncio.run(run())


def command_entry(action: str, subject: str) -> AuditEntry:
    """The audit log entry of a command."""
    return new_entry(time.time(), ACTOR, action, subject)


def database_url(settings: Settings) -> str:
    """Its URL. Raises SettingsError if none is configured, and no local server is running."""
    if settings.postgres_url:
        return settings.postgres_url
    folder = Path(settings.data_dir).resolve()
    # The same choice as in supervisor.embedded.data_folder: beside the data, or in a folder with a short path.
    digest = hashlib.blake2b(os.fsencode(folder), digest_size=6).hexdigest()
    for sockets in (folder / "run", Path(tempfile.gettempdir()) / f"avb-{os.getuid()}-{digest}"):
        if (sockets / f".s.PGSQL.{POSTGRES_PORT}").exists():
            return f"postgresql://agentvoicebox@/agentvoicebox?host={sockets}&port={POSTGRES_PORT}"
    raise SettingsError(
        f"no server runs on {folder}, so its embedded PostgreSQL is down: start `agentvoicebox serve` in another terminal, "
        "or name a database in AVB_POSTGRES_URL"
    )
