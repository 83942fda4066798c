"""Rows that were deleted from the embedded PostgreSQL leave its disk, too.

PostgreSQL only marks a deleted row. Its bytes stay in the file of the table, also after a vacuum, until others replace them.
Copies are in the write-ahead log and among the statistics of columns. So tables with deletions are rewritten, statistics are
made anew, and the log is cut. A table is locked while it is rewritten: records wait meanwhile, calls do not.
"""

import asyncio

import asyncpg
import structlog

FIRST_AFTER_S = 3_600.0
EVERY_S = 86_400.0
LOCK_TIMEOUT_MS = 5_000
ANSWER_TIMEOUT_S = 900.0  # of the largest table

_DELETIONS = "SELECT relid::regclass::text AS name, n_tup_del FROM pg_stat_user_tables WHERE n_tup_del > 0"
_NO_STATISTICS = (
    "DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
)

_log = structlog.get_logger(__name__)


class Erasure:
    """Erases what was deleted from one embedded server.

    Args:
        url: of its database, as superuser.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._deletions: dict[str, int] = {}  # of each table, when it was last rewritten

    async def erase(self) -> list[str]:
        """Rewrite the tables from which rows were deleted since the last time; their names.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: the server is away or a table is in use; call it again later.
        """
        connection = await asyncpg.connect(self._url, command_timeout=ANSWER_TIMEOUT_S)
        try:
            found = {row["name"]: row["n_tup_del"] for row in await connection.fetch(_DELETIONS)}
            due = [name for name, deletions in found.items() if deletions != self._deletions.get(name)]
            if due:
                await connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
                await connection.execute(_NO_STATISTICS)
                for name in (*due, "pg_catalog.pg_statistic"):
                    await connection.execute(f"VACUUM FULL {name}")
                await connection.execute("ANALYZE")
                await connection.execute("SELECT pg_switch_wal()")
                await connection.execute("CHECKPOINT")
                self._deletions = found
            return due
        finally:
            await connection.close(timeout=LOCK_TIMEOUT_MS / 1000)

    async def run(self) -> None:
        """Erase an hour after the start, then once a day, until cancelled."""
        pause_s = FIRST_AFTER_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = EVERY_S
            try:
                if tables := await self.erase():
                    _log.info("deleted rows were erased from the disk", tables=tables)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.warning("deleted rows can't be erased from the disk now", error=type(error).__name__)
