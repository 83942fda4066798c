"""What a client heard: it listens in the background, keeps every event, and lets a test wait for any."""

import asyncio
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from itertools import groupby
from types import TracebackType
from typing import Any, Self

from tests.kit.waiting import PATIENCE_S


class Heard:
    """Listens inside of its block. An event of type `error` fails whoever waits.

    Args:
        events: objects with a `type`.

    Attributes:
        events: all of them so far.
    """

    def __init__(self, events: AsyncIterable[Any]) -> None:
        self.events: list[Any] = []
        self._source = events
        self._grown = asyncio.Condition()
        self._listening: asyncio.Task[None] | None = None

    def of(self, kind: str) -> list[Any]:
        """All events of a type so far."""
        return [event for event in self.events if event.type == kind]

    async def until(self, kind: str, count: int = 1) -> Any:
        """The event of a type that comes as the `count`-th of them."""
        await self.until_so(lambda: len(self.of(kind)) >= count, f"{kind} number {count}")
        return self.of(kind)[count - 1]

    async def until_so(self, holds: Callable[[], bool], what: str) -> None:
        """Until something holds, asked after each event."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._grown:
                await self._grown.wait_for(lambda: holds() or bool(self.of("error")))
        except TimeoutError as error:
            kinds = [kind for kind, _ in groupby(event.type for event in self.events)]
            raise AssertionError(f"no {what} in {kinds}") from error
        assert not self.of("error"), self.of("error")

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listening is not None
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening

    async def _listen(self) -> None:
        async for event in self._source:
            async with self._grown:
                self.events.append(event)
                self._grown.notify_all()
