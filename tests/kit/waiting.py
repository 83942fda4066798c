"""Waiting for another process: ask until nothing is wrong any more."""

import asyncio
from collections.abc import Callable

PATIENCE_S = 20.0
EVERY_S = 0.1


async def until(wrong: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Ask what is still wrong until it is nothing; fail with the last answer when patience ends."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + patience_s
    while still := wrong():
        assert loop.time() < deadline_s, f"{what}: {still}"
        await asyncio.sleep(EVERY_S)
