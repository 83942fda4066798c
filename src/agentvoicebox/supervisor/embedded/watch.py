"""Watches an embedded server while it runs: one that does not answer is hung, and is killed."""

import asyncio
from asyncio.subprocess import Process
from typing import Protocol

import structlog

from agentvoicebox.supervisor.liveness import Liveness

HUNG_AFTER_S = 10.0  # PostgreSQL needs up to a few seconds to recover: in service again within 15 s
ASK_EVERY_S = 1.0

_log = structlog.get_logger(__name__)


class EmbeddedServer(Protocol):
    """What is watched.

    Attributes:
        name: for the log.
        process: None before the first start.
    """

    name: str
    process: Process | None

    async def answers(self) -> bool:
        """Whether it answers within a few seconds; a refusal is an answer."""

    def kill(self) -> None:
        """Kill it at once."""


async def until_ended(server: EmbeddedServer, *, hung_after_s: float = HUNG_AFTER_S) -> int:
    """Wait until a server that has been started has ended, by itself or killed because it was hung; its exit status."""
    assert server.process is not None
    life = Liveness(hung_after_s)
    life.heard()
    watching = [
        asyncio.create_task(_ask(server, life), name=f"asking {server.name}"),
        asyncio.create_task(_kill_if_hung(server, life), name=f"life of {server.name}"),
    ]
    try:
        return await server.process.wait()
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


async def _ask(server: EmbeddedServer, life: Liveness) -> None:
    while True:
        if await server.answers():
            life.heard()
        await asyncio.sleep(ASK_EVERY_S)


async def _kill_if_hung(server: EmbeddedServer, life: Liveness) -> None:
    silent_s = await life.until_hung()
    _log.error("a server is hung and is killed", server=server.name, silent_s=round(silent_s, 1))
    server.kill()
