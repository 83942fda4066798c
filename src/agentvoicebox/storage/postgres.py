"""Access to PostgreSQL: a pool, and transactions that see a single tenant.

Every query runs inside `tenant_transaction`, which names the tenant to the database; row-level security does the rest, under
a role that can't bypass it (our own, or an owner for whom it is forced). Foreign exceptions are translated here: an unreachable
server is StorageLost, a refused statement is StorageRefused.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import asyncpg

from agentvoicebox.errors import InfrastructureError, StorageLost

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

APP_ROLE = "agentvoicebox_app"  # created by the first migration if permitted; owns nothing, bypasses nothing
# the one that may delete what was recorded; sees one tenant at a time like the other
JANITOR_ROLE = "agentvoicebox_janitor"
TENANT_SETTING = "agentvoicebox.tenant_id"
MOST_CONNECTIONS = 8  # per process; our embedded server allows 40 in all
CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0

# SQLSTATE classes that describe the server's state, not our statement: connection, rollback (a deadlock), resources, operator
# intervention, system.
_AWAY_CLASSES = ("08", "40", "53", "57", "58")


class StorageRefused(InfrastructureError):
    """PostgreSQL refused the statement (an invalid value, a missing right). A retry would fail again."""

    code = "storage_refused"
    retryable = False


class StatementCancelled(StorageLost):
    """A statement was cancelled, usually because it took longer than its transaction allows (`statement_timeout`)."""


class Postgres:
    """A pool of connections. One per process; safe to share among tasks of one loop."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, most_connections: int = MOST_CONNECTIONS, role: str = APP_ROLE) -> Self:
        """Create a pool; it connects when a connection is first needed, so the server may still be away.

        Args:
            url: `postgresql://…`, over TCP or (with `?host=/folder`) a unix socket.
            most_connections: 1 or more.
            role: APP_ROLE or JANITOR_ROLE.
        """
        with _translated():
            pool = await asyncpg.create_pool(
                url,
                min_size=0,
                max_size=most_connections,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                init=functools.partial(_set_role, role),
                server_settings={"application_name": "agentvoicebox"},
            )
        return cls(pool)

    @asynccontextmanager
    async def tenant_transaction(self, tenant_id: str) -> "AsyncIterator[Connection]":
        """A transaction that reads and writes rows of one tenant only; commits at the end, rolls back on an exception.

        Raises:
            StorageLost: the server can't be reached; nothing was written, or the outcome is unknown.
            StorageRefused: the server refused a statement; nothing was written.
        """
        with _translated():
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection, connection.transaction():
                await connection.execute("SELECT set_config($1, $2, true)", TENANT_SETTING, tenant_id)
                yield connection

    async def check(self) -> None:
        """Health: raises StorageLost unless the server answers and the tables are there."""
        async with self.tenant_transaction("") as connection:
            await connection.fetchval("SELECT 1 FROM sessions LIMIT 1")

    async def close(self) -> None:
        """Close all connections. Idempotent; a server that does not respond is abandoned."""
        try:
            await asyncio.wait_for(self._pool.close(), CLOSE_TIMEOUT_S)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()


async def _set_role(role: str, connection: Any) -> None:
    """Switch to the role that owns nothing, where it exists, and refuse to work as one that sees every tenant."""
    # not ours to take; not there
    with suppress(asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError):
        await connection.execute(f"SET ROLE {role}")
    if await connection.fetchval("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"):
        raise StorageRefused(f"this PostgreSQL role bypasses row-level security, and the role {role} does not exist")


@contextmanager
def _translated() -> Iterator[None]:
    """Translate foreign exceptions into ours."""
    try:
        yield
    except asyncpg.QueryCanceledError as error:
        raise StatementCancelled("PostgreSQL cancelled a statement") from error
    except asyncpg.PostgresError as error:
        sqlstate = error.sqlstate or ""
        if sqlstate.startswith(_AWAY_CLASSES) or isinstance(error, asyncpg.PostgresConnectionError):
            raise StorageLost(f"PostgreSQL is away ({type(error).__name__})") from error
        raise StorageRefused(f"PostgreSQL refused ({type(error).__name__}, {sqlstate})") from error
    except asyncpg.InterfaceError as error:
        if isinstance(error, ValueError):  # a Python value of the wrong type for its parameter
            raise StorageRefused(f"PostgreSQL can't store a value ({type(error).__name__})") from error
        raise StorageLost(f"PostgreSQL is away ({type(error).__name__})") from error
    except (OSError, TimeoutError) as error:
        raise StorageLost(f"PostgreSQL can't be reached ({type(error).__name__})") from error
