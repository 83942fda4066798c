"""The database that administrative commands work on: AVB_POSTGRES_URL's, or the embedded one of the server that runs here.

An embedded one is found by its socket; its start and stop stay the server's.
"""

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.settings import Settings
from agentvoicebox.storage.audit import AuditEntry, deed
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.embedded.data_folder import POSTGRES_PORT

ACTOR = "cli"
ACTS_WITHIN = "Running servers follow within a minute."

Found = TypeVar("Found")


def on_database(work: Callable[[Postgres], Awaitable[Found]]) -> Found:
    """Run one piece of work on the database, brought up to date before.

    Raises:
        SettingsError: no database is configured and no server runs here. StorageLost, StorageRefused.
    """
    url = _url(load_settings())

    async def run() -> Found:
        await migrate(url)
        postgres = await Postgres.open(url, most_connections=1)
        try:
            return await work(postgres)
        finally:
            await postgres.close()

    return asyncio.run(run())


def by_command(action: str, subject: str) -> AuditEntry:
    """The audit log's entry of something that was done from the command line."""
    return deed(time.time(), ACTOR, action, subject)


def _url(settings: Settings) -> str:
    if settings.postgres_url:
        return settings.postgres_url
    folder = Path(settings.data_dir).resolve()
    # As supervisor.embedded.data_folder chooses it: beside the data, or where a socket's path is short enough.
    digest = hashlib.blake2b(os.fsencode(folder), digest_size=6).hexdigest()
    for sockets in (folder / "run", Path(tempfile.gettempdir()) / f"avb-{os.getuid()}-{digest}"):
        if (sockets / f".s.PGSQL.{POSTGRES_PORT}").exists():
            return f"postgresql://agentvoicebox@/agentvoicebox?host={sockets}&port={POSTGRES_PORT}"
    raise SettingsError(
        f"no server runs on {folder}, so its embedded PostgreSQL is down: start `agentvoicebox serve` in another terminal, "
        "or name a database in AVB_POSTGRES_URL"
    )
