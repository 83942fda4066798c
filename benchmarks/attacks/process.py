"""The attacker as a process of its own, at a low priority, so that what is measured is the server and not the attacker.

python -m benchmarks.attacks.process NAME SECONDS     reads a Target, writes `ready`, waits for `go`, writes what it counted
"""

import asyncio
import contextlib
import json
import os
import resource
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import uvloop
from benchmarks.attacks.attack import Attacker, Beside, attacks
from benchmarks.attacks.target import Target

ROOT = Path(__file__).parents[2]
NICE = 10
OVERTIME_S = 5.0  # then it is killed
START_S = 60.0
READY = b"ready\n"


class AttackerProcess:
    """An attacker that has been started and waits."""

    def __init__(self, process: Process, seconds: float) -> None:
        self._process = process
        self._seconds = seconds

    async def run(self) -> dict[str, int]:
        """Let it attack for its seconds; what it counted."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"go\n")
        try:
            async with asyncio.timeout(self._seconds + OVERTIME_S):
                line = await process.stdout.readline()
        except TimeoutError:
            return {"overtime": 1}
        return dict(json.loads(line)) if line else {"attacker_died": 1}


@asynccontextmanager
async def attacker_process(name: str, target: Target, seconds: float) -> AsyncIterator[AttackerProcess]:
    """An attacker, ready; gone at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.attacks.process", name, str(seconds)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(msgspec.json.encode(target) + b"\n")
        async with asyncio.timeout(START_S):
            if await process.stdout.readline() != READY:
                raise RuntimeError(f"the attacker {name} did not start")
        yield AttackerProcess(process, seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _attack(attack: Beside, target: Target, seconds: float) -> dict[str, int]:
    attacker = Attacker(target, seconds)
    attacking = asyncio.create_task(attack.run(attacker))
    await asyncio.wait({attacking}, timeout=seconds)
    if not attacking.done():
        attacking.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
        await attacking
    return dict(attacker.seen)


def main() -> None:
    """Be the attacker."""
    os.nice(NICE)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    name, seconds = sys.argv[1], float(sys.argv[2])
    target = msgspec.json.decode(sys.stdin.buffer.readline(), type=Target)
    attack = attacks()[name]
    assert isinstance(attack, Beside)
    print("ready", flush=True)
    sys.stdin.buffer.readline()
    print(json.dumps(uvloop.run(_attack(attack, target, seconds))), flush=True)


if __name__ == "__main__":
    main()
