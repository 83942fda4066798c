"""Waiting for what must happen.

A wait ends as soon as it has happened. `PATIENCE_S` is the limit of every wait and only keeps a hung test from running for ever,
so it costs nothing to have it long. `TEST_PATIENCE=3` makes it three times as long, for a very slow or busy machine.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

FACTOR = float(os.environ.get("TEST_PATIENCE", "1"))
PATIENCE_S = 60.0 * FACTOR
EVERY_S = 0.1


def settled(wrong: Callable[[], list[str]], *, patience_s: float = 5.0 * FACTOR) -> list[str]:
    """Ask until nothing is wrong or patience ends; what is wrong then. Blocks, so it is for the end of a test."""
    deadline_s = time.monotonic() + patience_s
    while (still := wrong()) and time.monotonic() < deadline_s:
        time.sleep(EVERY_S)
    return still


async def until(wrong: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Ask what is still wrong until it is nothing; fail with the last answer when patience ends."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + patience_s
    while still := wrong():
        assert loop.time() < deadline_s, f"{what}: {still}"
        await asyncio.sleep(EVERY_S)


async def until_answered(wrong: Callable[[], Awaitable[object]], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """The same, where what is wrong has to be asked for."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + patience_s
    while still := await wrong():
        assert loop.time() < deadline_s, f"{what}: {still}"
        await asyncio.sleep(EVERY_S)
