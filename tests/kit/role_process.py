"""A role in a process of its own, as the supervisor starts it, which a test may kill."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def role_process(
    process: str, target: str, settings: Mapping[str, str], *, stdout: int | IO[bytes] | None = None
) -> AsyncIterator[Process]:
    """The process, ready; killed at the end if it is still alive.

    Args:
        process: its name.
        target: the role, `module:function`.
        settings: `AVB_…` variables, and others of its environment.
        stdout: as `subprocess` takes it; None: that of the tests.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AVB_")}
    reading, writing = os.pipe()
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentvoicebox.supervisor.child"),
        *(f"--parent={os.getpid()}", f"--life-fd={writing}", process, f"{process}={target}"),
        cwd=ROOT,
        env={**environment, "PYTHONPATH": "src:.", **settings},
        pass_fds=(writing,),
        stdout=stdout,
    )
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            assert await asyncio.to_thread(pipe.read, 1) == b".", f"{target} did not start"
            yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()
