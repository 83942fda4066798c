"""Programs in Node that play a caller for a test: they take one order, and report as they go, a JSON document a line."""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.waiting import PATIENCE_S

FOLDER = Path(__file__).parents[1] / "e2e" / "clients" / "js"
INSTALLED = FOLDER / "node_modules" / ".package-lock.json"

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not INSTALLED.exists(),
    reason="Node 20 with the packages of tests/e2e/clients/js is needed: install Node and npm, then `make clients`",
)


class NodeClient:
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
        async with asyncio.timeout(PATIENCE_S):
            while line := await self._process.stdout.readline():
                report: dict[str, Any] = json.loads(line)
                self.reports.append(report)
                if report["what"] == what:
                    return report
        raise AssertionError(f"no report {what!r} after {self.reports}:\n{(await self._errors).decode()[-3000:]}")


@asynccontextmanager
async def node_client(script: str, order: Mapping[str, Any], **environment: str) -> AsyncIterator[NodeClient]:
    """Run a script of `tests/e2e/clients/js`; it is killed at the end of the block.

    Args:
        script: its file name.
        order: what it is to do.
        environment: further variables.
    """
    process = await asyncio.create_subprocess_exec(
        "node", script, cwd=FOLDER, env={**os.environ, **environment}, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    assert process.stdin is not None and process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    try:
        process.stdin.write(json.dumps(order).encode())
        process.stdin.close()
        yield NodeClient(process, errors)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await errors
