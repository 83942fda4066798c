"""Sends to a line in order, and holds audio back while the line takes none, or has as much as it can keep."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from agentvoicebox.telephony.line import LineProtocol, Message

Send = Callable[[Message], Awaitable[None]]


class _Piece(msgspec.Struct, frozen=True):
    messages: Sequence[Message]
    mark: str = ""
    size: int = 0  # bytes of audio


class LineWriter:
    """One call's. `send` raises what the connection raises."""

    def __init__(self, protocol: LineProtocol, send: Send) -> None:
        self._dialect = protocol
        self._send = send
        self._is_open = True
        self._held: deque[_Piece] = deque()
        self._unplayed: deque[_Piece] = deque()  # sent, and not reported as played
        self._clears = 0
        self._is_sending = False

    async def play(self, audio: bytes, mark: str) -> None:
        """Play audio, and report `mark` when it was played."""
        messages = [*self._dialect.audio(audio), *self._dialect.mark(mark)]
        self._held.append(_Piece(messages, mark, len(audio)))
        await self._go_on()

    async def finish(self) -> None:
        """No more audio comes for now."""
        if messages := self._dialect.finish():
            self._held.append(_Piece(messages))
            await self._go_on()

    async def played(self, mark: str) -> None:
        """The line reported a mark: it has room for more. Unknown ones are ignored."""
        if any(piece.mark == mark for piece in self._unplayed):
            while self._unplayed.popleft().mark != mark:
                pass
            await self._go_on()

    async def set_open(self, is_open: bool) -> None:
        """The line takes audio again, or no more."""
        self._is_open = is_open
        await self._go_on()

    async def clear(self) -> None:
        """Throw away what was not played."""
        self._held.clear()
        self._unplayed.clear()
        self._clears += 1
        await self._all(self._dialect.clear())

    async def hang_up(self) -> None:
        """End the call, where the protocol has a message for it."""
        await self._all(self._dialect.hang_up())

    @property
    def _has_room(self) -> bool:
        most = self._dialect.most_unplayed_bytes
        return self._is_open and (most is None or sum(piece.size for piece in self._unplayed) < most)

    async def _go_on(self) -> None:
        """Send what is held back, as far as there is room. One at a time, so that the order stays."""
        if self._is_sending:
            return
        self._is_sending = True
        try:
            while self._held and self._has_room:
                piece = self._held.popleft()
                if piece.mark:
                    self._unplayed.append(piece)
                clears = self._clears
                for message in piece.messages:
                    if self._clears == clears:
                        await self._send(message)
        finally:
            self._is_sending = False

    async def _all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self._send(message)
