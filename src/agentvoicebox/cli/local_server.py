"""A complete local server for the duration of a block: `agentvoicebox serve` as a child process on a free port.

The demo, the end-to-end tests and the benchmarks use it, so that they run exactly what a user starts. The server ends with the
block, and also if this process is killed.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agentvoicebox.cli.serve import EVERYTHING_READY
from agentvoicebox.errors import InfrastructureError
from agentvoicebox.processes.child_command import child_command

PORTS = range(15_000, 32_000)  # below those that Linux gives to outgoing connections
PORT_TRIES = 50
START_TIMEOUT_S = 180.0  # the very first start prepares the voice and the database
STOP_TIMEOUT_S = 20.0
TAIL_LINES = 12

Progress = Callable[[str], None]


class ServerFailed(InfrastructureError):
    """The server did not become ready. The message ends with its last output."""

    code = "server_failed"
    retryable = False


@dataclass(frozen=True)
class LocalServer:
    """A running server.

    Attributes:
        url: base URL for OpenAI clients, ending in `/v1`.
        pid: of the supervisor; its children are the roles and the embedded servers.
        log: the server's log.
        internal_url: base URL of the gateway's internal port: `/metrics`, and `/ready` in detail.
    """

    url: str
    pid: int
    data_dir: Path
    log: Path
    internal_url: str

    @property
    def root_url(self) -> str:
        """Base URL of `/health` and `/ready`."""
        return self.url.removesuffix("/v1")


def free_port() -> int:
    """A free TCP port on loopback; if possible one that the system gives to no outgoing connection before it is used."""
    for tried in (*(PORTS[secrets.randbelow(len(PORTS))] for _ in range(PORT_TRIES)), 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", tried))
            port: int = probe.getsockname()[1]
            return port
    raise ServerFailed("no TCP port is free on 127.0.0.1")


@contextlib.asynccontextmanager
async def local_server(
    data_dir: Path, *, settings: Mapping[str, str] | None = None, progress: Progress = lambda line: None
) -> AsyncIterator[LocalServer]:
    """Start a server, wait until it is ready, and stop it at the end of the block.

    Args:
        data_dir: for its embedded servers; created when absent, kept afterwards.
        settings: further `AVB_…` variables.
        progress: called with each step of starting and stopping.

    Raises:
        ServerFailed: it ended, or was not ready in time.
    """
    port, internal_port = free_port(), free_port()
    environment = {
        **os.environ,
        "AVB_LOG_FORMAT": "",  # else nothing would be on standard output, and that is what `_read` waits for
        "AVB_HOST": "127.0.0.1",
        "AVB_PORT": str(port),
        "AVB_WEBHOOK_PORT": "0",  # another server may use the default ones
        "AVB_INTERNAL_PORT": "0",
        "AVB_GATEWAY_INTERNAL_PORT": str(internal_port),
        "AVB_TLS_CERT": "",  # `url` below is http
        "AVB_TLS_KEY": "",
        "AVB_DATA_DIR": str(data_dir),
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "200",  # output goes to a pipe: no wrapping
        **(settings or {}),
    }
    log = await asyncio.to_thread(_log_in, data_dir)
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *child_command([sys.executable, "-m", "agentvoicebox.cli", "serve"], die_with=signal.SIGINT),
            env=environment,
            stdout=PIPE,
            stderr=errors,
            start_new_session=True,  # this process handles Ctrl-C
        )
    is_ready = asyncio.Event()
    reading = asyncio.create_task(_read(process, progress, is_ready))
    internal_url = f"http://127.0.0.1:{environment['AVB_GATEWAY_INTERNAL_PORT']}"
    server = LocalServer(f"http://127.0.0.1:{port}/v1", process.pid, data_dir, log, internal_url)
    try:
        await _until_ready(process, server, is_ready)
        yield server
    finally:
        await _stop(process)
        await reading


def _log_in(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = folder / "serve.log"
    log.touch(mode=0o600)
    return log


async def _read(process: Process, progress: Progress, is_ready: asyncio.Event) -> None:
    if process.stdout is None:
        return
    async for raw in process.stdout:
        line = raw.decode(errors="replace").strip()
        if line.startswith(EVERYTHING_READY):
            is_ready.set()
        elif line:
            progress(line)


async def _until_ready(process: Process, server: LocalServer, is_ready: asyncio.Event) -> None:
    ending, opening = asyncio.create_task(process.wait()), asyncio.create_task(is_ready.wait())
    try:
        await asyncio.wait([ending, opening], timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (ending, opening):
            task.cancel()
        await asyncio.gather(ending, opening, return_exceptions=True)
    if is_ready.is_set():
        return
    if process.returncode is not None:
        raise _failure(f"the server ended with code {process.returncode}", server)
    raise _failure(f"the server was not ready within {START_TIMEOUT_S:.0f} s", server)


def _failure(what: str, server: LocalServer) -> ServerFailed:
    words = server.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return ServerFailed(f"{what}; its last output:\n  " + "\n  ".join(words or ["(none)"]))


async def _stop(process: Process) -> None:
    """Stop the server as Ctrl-C does; then kill the rest of its process group."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
