"""Migrates a database to this version's schema, from any earlier version, once, even if many processes start at the same time.

Alembic orders the revisions and writes their SQL; asyncpg runs it, so that one driver and one kind of URL (TCP or unix
socket) serve everything. A revision must therefore be plain SQL (`op.execute`), which is what we want to read anyway.

Two versions use one database while a fleet is upgraded, so a revision only adds: see "Tables" in `docs/upgrading.md`. A database
that a newer version has migrated is left as it is.
"""

import io
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from agentvoicebox.errors import StorageLost
from agentvoicebox.storage.postgres import CONNECT_TIMEOUT_S, StorageRefused
from agentvoicebox.telemetry.logs import get_logger

_LOCK = 0x61766273  # "avbs": any number that no other program locks
_ENVIRONMENT = Path(__file__).with_name("migrations")
REVISIONS = _ENVIRONMENT / "versions"
VERSION_TABLE = "alembic_version"  # of the platform; each kit has one of its own

log = get_logger(__name__)


async def migrate(postgres_url: str, revisions: Path = REVISIONS, *, version_table: str = VERSION_TABLE) -> None:
    """Run every revision that the database lacks, in one transaction.

    Args:
        postgres_url: of a role that may create tables and (the first time) roles.
        revisions: folder of Alembic revisions: the platform's, or a kit's (`KitDatabase.revisions`).
        version_table: where the database keeps the revision it is at.

    Raises:
        StorageLost: the server can't be reached.
        StorageRefused: a statement failed; nothing was changed.
    """
    try:
        connection = await asyncpg.connect(postgres_url, timeout=CONNECT_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise StorageLost(f"PostgreSQL can't be reached ({type(error).__name__})") from error
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        script = pending_sql(
            await _revision(connection, version_table), revisions=revisions, version_table=version_table
        )
        if script:
            await connection.execute(script)
    except asyncpg.PostgresError as error:
        raise StorageRefused(f"a migration failed: {error}") from error
    except OSError as error:
        raise StorageLost(f"PostgreSQL went away ({type(error).__name__})") from error
    finally:
        await connection.close()  # this also releases the lock


async def is_migrated(postgres_url: str, revisions: Path = REVISIONS, *, version_table: str = VERSION_TABLE) -> bool:
    """Whether the database has every revision. Raises StorageLost or StorageRefused."""
    try:
        connection = await asyncpg.connect(postgres_url, timeout=CONNECT_TIMEOUT_S)
        try:
            revision = await _revision(connection, version_table)
        finally:
            connection.terminate()
    except asyncpg.PostgresError as error:
        raise StorageRefused(f"the revision can't be read: {error}") from error
    except (OSError, TimeoutError) as error:
        raise StorageLost(f"PostgreSQL can't be reached ({type(error).__name__})") from error
    return not pending_sql(revision, revisions=revisions, version_table=version_table)


def pending_sql(
    revision: str | None,
    *,
    until: str = "head",
    revisions: Path = REVISIONS,
    version_table: str = VERSION_TABLE,
) -> str:
    """The SQL from `revision` (None: an empty database) to `until`.

    Returns:
        "" when `revision` is the newest, or one of a newer version, which this version does not know.
    """
    written = io.StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(_ENVIRONMENT).replace("%", "%%"))
    config.set_main_option("version_locations", str(revisions).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_table", version_table)
    scripts = ScriptDirectory.from_config(config)
    if revision == scripts.get_current_head():
        return ""
    if revision is not None and revision not in {each.revision for each in scripts.walk_revisions()}:
        log.warning("the database was migrated by a newer version and is used as it is", revision=revision)
        return ""
    command.upgrade(config, f"{revision}:{until}" if revision else until, sql=True)
    return written.getvalue()


async def _revision(connection: "asyncpg.Connection[asyncpg.Record]", table: str) -> str | None:
    if await connection.fetchval("SELECT to_regclass($1)", table) is None:
        return None
    found: str | None = await connection.fetchval(f"SELECT version_num FROM {table}")
    return found
