"""Programs that play a caller with a stock client for a test: they take one order, and report as they go, a JSON document a line.

Those in Node are in `tests/e2e/clients/js`. Those in Python, in `tests/e2e/clients/python`, run in an environment of their own,
since their packages are large and their pins differ from ours.
"""

import asyncio
import json
import os
import shutil
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
NODE_FOLDER = ROOT / "tests" / "e2e" / "clients" / "js"
PYTHON_FOLDER = ROOT / "tests" / "e2e" / "clients" / "python"
PYTHON = ROOT / ".venv-clients" / "bin" / "python"

LEAST_NODE = 20


def node_version() -> int:
    """The major version of Node; 0 without Node."""
    if shutil.which("node") is None:
        return 0
    answer = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return int(answer.stdout.removeprefix("v").partition(".")[0])


needs_node = pytest.mark.skipif(
    not (NODE_FOLDER / "node_modules" / ".package-lock.json").exists() or node_version() < LEAST_NODE,
    reason="needs Node 20 or later and npm, and the packages that `make clients` or `make test` install",
)
needs_kits = pytest.mark.skipif(
    not (PYTHON.parents[1] / ".installed").exists(), reason="LiveKit and pipecat are large: `make clients` runs these"
)


class ClientProgram:
    """A running program.

    Attributes:
        reports: what it told so far.
    """

    def __init__(self, process: asyncio.subprocess.Process, errors: asyncio.Task[bytes]) -> None:
        self._process = process
        self._errors = errors
        self.reports: list[dict[str, Any]] = []

    async def until(self, what: str) -> dict[str, Any]:
        """The next report of this name; fails with the program's own words when it ends before."""
        assert self._process.stdout is not None
        end = "when it ended"
        try:
            async with asyncio.timeout(PATIENCE_S):
                while line := await self._process.stdout.readline():
                    report: dict[str, Any] = json.loads(line)
                    self.reports.append(report)
                    if report["what"] == what:
                        return report
        except TimeoutError:
            self._process.kill()
            end = f"in {PATIENCE_S:.0f} s"
        raise AssertionError(f"no report {what!r} {end}: {self.reports}\n{(await self._errors).decode()[-6000:]}")


@asynccontextmanager
async def client_program(
    command: Sequence[str], folder: Path, order: Mapping[str, Any], environment: Mapping[str, str]
) -> AsyncIterator[ClientProgram]:
    """Run a program with an order; it is killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env={**os.environ, **environment}, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    assert process.stdin is not None and process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    try:
        process.stdin.write(json.dumps(order).encode())
        process.stdin.close()
        yield ClientProgram(process, errors)
    finally:
        if process.returncode is None:
            process.kill()
        if process.stdout is not None:
            await process.stdout.read()  # an unread pipe would stay open
        await process.wait()
        await errors


@asynccontextmanager
async def node_client(script: str, order: Mapping[str, Any], **environment: str) -> AsyncIterator[ClientProgram]:
    """Run a script of `tests/e2e/clients/js`."""
    async with client_program(["node", script], NODE_FOLDER, order, environment) as client:
        yield client


@asynccontextmanager
async def python_client(script: str, order: Mapping[str, Any], **environment: str) -> AsyncIterator[ClientProgram]:
    """Run a script of `tests/e2e/clients/python`."""
    async with client_program([str(PYTHON), script], PYTHON_FOLDER, order, environment) as client:
        yield client
