"""Migrates a database to this version's tables: the platform's, then those of the configured kits."""

from agentvoicebox.kits.registry import Kits
from agentvoicebox.storage.migrate import migrate


async def migrate_all(postgres_url: str, kits: Kits) -> None:
    """Run every revision that the database lacks.

    Raises:
        StorageLost: the server can't be reached.
        StorageRefused: a statement failed; its set of revisions was rolled back.
    """
    await migrate(postgres_url)
    for kit in kits:
        database = kit.database()
        if database is not None:
            table = f"alembic_version_{kit.name.replace('-', '_')}"
            await migrate(postgres_url, database.revisions, version_table=table)
