"""Whether a PostgreSQL server that is operated elsewhere can be reached and used."""

import asyncio
from typing import NamedTuple

import asyncpg

from agentvoicebox.errors import InfrastructureError, connection_fault

LEAST_VERSION = 15


class BadDatabase(InfrastructureError):
    """The database can't be used. The message says why, for operators; it may name its address."""

    code = "bad_database"
    retryable = False


class DatabaseFacts(NamedTuple):
    """What is known of a database that can be used.

    Attributes:
        version: of the server.
        role: as which we are connected.
        may_create: whether it may create tables.
    """

    version: str
    role: str
    may_create: bool


async def check_database(url: str, *, timeout_s: float) -> DatabaseFacts:
    """Connect once, and check the server's version.

    Args:
        url: `postgresql://…`.
        timeout_s: for all of it.

    Raises:
        BadDatabase: it can't be reached, refuses the role, or is too old.
    """
    try:
        async with asyncio.timeout(timeout_s):
            connection = await asyncpg.connect(url, timeout=timeout_s)
            try:
                return await _facts(connection)
            finally:
                connection.terminate()
    except TimeoutError as error:
        raise BadDatabase(f"no answer within {timeout_s:g} s") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise BadDatabase(_explained(error)) from error


async def _facts(connection: "asyncpg.Connection[asyncpg.Record]") -> DatabaseFacts:
    version = connection.get_server_version()
    if version.major < LEAST_VERSION:
        raise BadDatabase(f"PostgreSQL {version.major} is too old; {LEAST_VERSION} or later is needed")
    role, may_create = await connection.fetchrow(  # type: ignore[misc]
        "SELECT current_user, coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AND NOT pg_is_in_recovery()"
    )
    return DatabaseFacts(f"{version.major}.{version.minor}", role, may_create)


def _explained(error: Exception) -> str:
    match error:
        case asyncpg.InvalidCatalogNameError():
            return f"{error}; create it with `createdb`"
        case asyncpg.PostgresError() if error.sqlstate:
            return str(error)
        case OSError():
            return connection_fault(error)
    return f"the URL is invalid: {error}"
