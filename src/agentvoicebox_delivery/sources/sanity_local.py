"""The Sanity-compatible local server as a child process. Its URL replaces Sanity's.

Needs Node and the project's folder `deploy/sanity-local`; the error says what to install. Has the same interface as the servers
in `supervisor.embedded`.
"""

import asyncio
import contextlib
import json
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import IO

from agentvoicebox.errors import ProviderUnavailable, SettingsError
from agentvoicebox.processes.child_command import child_command

FOLDER = Path(__file__).parents[3] / "deploy" / "sanity-local"
LEAST_NODE = (18, 2)  # required by server.mjs
START_S = 15.0  # usually 0.2 s; a cold start reads about 5 MB of JavaScript
STOP_S = 5.0


def missing(folder: Path = FOLDER) -> str:
    """Why the local server can't start, with the fix; "" if it can."""
    if not (folder / "server.mjs").exists():
        return f"there is no {folder}: the local Sanity server comes with the source tree, not with the package"
    if shutil.which("node") is None:
        return "the local Sanity server needs Node 18 or later, and there is no node on the PATH"
    if not (folder / "node_modules" / "groq-js").exists():
        return f"the local Sanity server is not installed: type (cd {folder} && npm ci)"
    return ""


class SanityLocal:
    """The local server, on a free port of the loopback address.

    Args:
        documents: a file of documents; None: the demo parcels.
        token: makes the dataset private.
        options: more options of server.mjs, for tests.
        folder: folder of server.mjs.
        log: for its output.
    """

    name = "sanity-local"

    def __init__(
        self,
        *,
        documents: Path | None = None,
        token: str = "",
        options: tuple[str, ...] = (),
        folder: Path = FOLDER,
        log: IO[bytes] | int = DEVNULL,
    ) -> None:
        self._folder = folder
        self._options = [
            *([f"--documents={documents.resolve()}"] if documents else []),
            *([f"--token={token}"] if token else []),
            *options,
        ]
        self._log = log
        self._port = 0
        self.process: Process | None = None

    @property
    def url(self) -> str:
        """For AVB_SANITY_BASE_URL; valid after the start."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it and wait until it listens. A restart uses the same port.

        Raises:
            SettingsError: Node or the server's packages are missing; the message says how to install them.
            ProviderUnavailable: it did not start.
        """
        fault = missing(self._folder) or await too_old()
        if fault:
            raise SettingsError(fault)
        node = shutil.which("node") or "node"
        command = [node, "server.mjs", f"--port={self._port}", "--host=127.0.0.1", *self._options]
        self.process = await asyncio.create_subprocess_exec(
            *child_command(command, die_with=signal.SIGTERM),
            cwd=self._folder,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                line = await self.process.stdout.readline()
            self._port = int(json.loads(line)["port"])
        except (TimeoutError, ValueError, KeyError) as error:
            await self.stop()
            raise ProviderUnavailable("the local Sanity server did not start; see its log") from error

    async def stop(self) -> None:
        """Stop it. Idempotent."""
        if self.process is None:
            return
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_S):
                    await self.process.wait()
            except TimeoutError:
                self.kill()
        await self.process.wait()

    def kill(self) -> None:
        """Kill it at once."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()


async def too_old() -> str:
    """What is wrong with the version of Node on the PATH; "" when it is new enough."""
    process = await asyncio.create_subprocess_exec("node", "--version", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    written, _ = await process.communicate()
    version = re.match(rb"v(\d+)\.(\d+)", written)
    if version is None or (int(version[1]), int(version[2])) < LEAST_NODE:
        return (
            f"the local Sanity server needs Node 18.2 or later; this one says {written.decode().strip() or 'nothing'}"
        )
    return ""
