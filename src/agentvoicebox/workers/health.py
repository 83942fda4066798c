"""What a living worker can't do, told to the gateways for as long as it lasts.

Silent while all is well. Something that failed makes it look: then it looks every second until nothing ails any more, and says so
each time. What a look is belongs to the role: asking a server, speaking a word to nobody.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from agentvoicebox.broker.vitals import ALL, VitalSigns
from agentvoicebox.errors import BrokerLost
from agentvoicebox.ports.broker import JobKind

EVERY_S = 1.0

Look = Callable[[], Awaitable[frozenset[str]]]

_log = structlog.get_logger(__name__)


class Health:
    """One worker's. Use `watching` around its work."""

    def __init__(self, signs: VitalSigns, kind: JobKind, worker: str, look: Look, *, every_s: float = EVERY_S) -> None:
        """`look` gives the engines that can't work now (none: all is well)."""
        self._signs = signs
        self._kind = kind
        self._worker = worker
        self._look = look
        self._every_s = every_s
        self._is_suspected = asyncio.Event()

    def suspect(self) -> None:
        """Something failed."""
        self._is_suspected.set()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look after it meanwhile."""
        watching = asyncio.create_task(self._watch(), name=f"{self._worker} health")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        known: frozenset[str] = frozenset()
        while True:
            await self._is_suspected.wait()
            self._is_suspected.clear()
            while ailing := await self._look():
                if ailing != known:
                    _log.warning("engines are away", kind=self._kind, engines=sorted(ailing))
                known = ailing
                await self._tell(ailing)
                await asyncio.sleep(self._every_s)
            if known:
                _log.info("engines are back", kind=self._kind, engines=sorted(known))
                known = frozenset()
                await self._tell(known)

    async def _tell(self, ailing: frozenset[str]) -> None:
        with contextlib.suppress(BrokerLost):  # then nobody could act on it either; a second later it is told again
            await self._signs.complain(self._kind, self._worker, ailing)


def whole(check: Callable[[], Awaitable[object]]) -> Look:
    """A look at a worker with one engine: everything is away when `check` raises, whatever it raises."""

    async def look() -> frozenset[str]:
        try:
            await check()
        except Exception as error:
            _log.debug("a check failed", error=type(error).__name__)  # a foreign message might hold anything
            return frozenset({ALL})
        return frozenset()

    return look
