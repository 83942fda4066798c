"""Migrates a database to this version's tables: the platform's, then those of the configured kits."""

from collections.abc import Iterator
from pathlib import Path

from agentvoicebox.kits.registry import Kits
from agentvoicebox.storage import migrate
from agentvoicebox.storage.migrate import REVISIONS, VERSION_TABLE


async def migrate_all(postgres_url: str, kits: Kits) -> None:
    """Run every revision that the database lacks.

    Raises:
        StorageLost: the server can't be reached.
        StorageRefused: a statement failed; its set of revisions was rolled back.
    """
    for revisions, table in _sets(kits):
        await migrate.migrate(postgres_url, revisions, version_table=table)


async def is_all_migrated(postgres_url: str, kits: Kits) -> bool:
    """Whether the database has every revision. Raises StorageLost or StorageRefused."""
    for revisions, table in _sets(kits):
        if not await migrate.is_migrated(postgres_url, revisions, version_table=table):
            return False
    return True


def _sets(kits: Kits) -> Iterator[tuple[Path, str]]:
    """Folders of revisions with their version tables, the platform's first."""
    yield REVISIONS, VERSION_TABLE
    for kit in kits:
        database = kit.database()
        if database is not None:
            yield database.revisions, f"alembic_version_{kit.name.replace('-', '_')}"
