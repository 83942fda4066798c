"""Migrates a database to this version's schema, from any earlier version, once, even if many processes start at the same time.

Alembic orders the revisions and generates their SQL; asyncpg runs it, so that one driver and one kind of URL (TCP or unix
socket) serve everything. A revision must therefore be plain SQL (`op.execute`), which is also easier to review.
"""

import io
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from agentvoicebox.errors import StorageLost
from agentvoicebox.storage.postgres import CONNECT_TIMEOUT_S, StorageRefused

_LOCK = 0x61766273  # "avbs": any number that no other program locks
_MIGRATIONS = Path(__file__).with_name("migrations")


async def migrate(postgres_url: str) -> None:
    """Run every missing revision, in one transaction.

    Args:
        postgres_url: URL with a role that may create tables and (the first time) roles.

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
        script = pending_sql(await _revision(connection))
        if script:
            await connection.execute(script)
    except asyncpg.PostgresError as error:
        raise StorageRefused(f"a migration failed: {error}") from error
    except OSError as error:
        raise StorageLost(f"PostgreSQL went away ({type(error).__name__})") from error
    finally:
        await connection.close()  # this also releases the lock


def pending_sql(revision: str | None, *, until: str = "head") -> str:
    """The SQL from `revision` (None: an empty database) to `until`; "" when there is nothing to do."""
    written = io.StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if revision == ScriptDirectory.from_config(config).get_current_head():
        return ""
    command.upgrade(config, f"{revision}:{until}" if revision else until, sql=True)
    return written.getvalue()


async def _revision(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return found
