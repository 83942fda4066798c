"""Sends to a line in order, and holds audio back while the line takes none."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from agentvoicebox.telephony.line import LineProtocol, Message

Send = Callable[[Message], Awaitable[None]]


class LineWriter:
    """One call's. `send` raises what the connection raises."""

    def __init__(self, protocol: LineProtocol, send: Send) -> None:
        self._dialect = protocol
        self._send = send
        self._is_open = True
        self._held: deque[Message] = deque()

    async def play(self, audio: bytes, mark: str) -> None:
        """Play audio, and report `mark` when it was played."""
        await self._in_order([*self._dialect.audio(audio), *self._dialect.mark(mark)])

    async def finish(self) -> None:
        """No more audio comes for now."""
        await self._in_order(self._dialect.finish())

    async def set_open(self, is_open: bool) -> None:
        """The line takes audio again, or no more."""
        self._is_open = is_open
        while self._is_open and self._held:
            await self._send(self._held.popleft())

    async def clear(self) -> None:
        """Throw away what was not played."""
        self._held.clear()
        await self._all(self._dialect.clear())

    async def hang_up(self) -> None:
        """End the call, where the protocol has a message for it."""
        await self._all(self._dialect.hang_up())

    async def _in_order(self, messages: Sequence[Message]) -> None:
        if self._is_open and not self._held:
            await self._all(messages)
        else:
            self._held.extend(messages)

    async def _all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self._send(message)
