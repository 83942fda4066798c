"""What the caller has heard of the agent's audio, by the marks that the line reports.

Each piece of audio is followed by a mark. A reported mark proves that its piece was played; how much of the piece after it was
played is estimated from the time since, and never more than the piece is long.
"""

from collections import deque

import msgspec


class SentPiece(msgspec.Struct, frozen=True):
    """Audio that was sent to the line: up to `end_ms` of an item's part, `length_ms` long."""

    mark: str
    item_id: str
    content_index: int
    end_ms: float
    length_ms: float


class Heard(msgspec.Struct, frozen=True):
    """How far a part of an item was heard."""

    item_id: str
    content_index: int
    audio_end_ms: int


class PlayedAudio:
    """One call's. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._waiting: deque[SentPiece] = deque()
        self._ends_ms: dict[tuple[str, int], float] = {}  # of the parts that still have pieces waiting
        self._began_s = 0.0  # when the first waiting piece began to play, at the latest known
        self._count = 0

    @property
    def is_playing(self) -> bool:
        """Whether the line has audio that it has not reported as played."""
        return bool(self._waiting)

    def waits_for(self, mark: str) -> bool:
        """Whether the piece of this mark is not known to be played."""
        return any(piece.mark == mark for piece in self._waiting)

    def sent(self, item_id: str, content_index: int, length_ms: float, now_s: float) -> str:
        """A piece of a part was sent; returns the name of the mark to send after it."""
        if not self._waiting:
            self._began_s = now_s
        part = (item_id, content_index)
        end_ms = self._ends_ms.get(part, 0.0) + length_ms
        self._ends_ms[part] = end_ms
        self._count += 1
        piece = SentPiece(f"m{self._count}", item_id, content_index, end_ms, length_ms)
        self._waiting.append(piece)
        return piece.mark

    def played(self, mark: str, now_s: float) -> None:
        """The line reported a mark. Unknown ones, and those of pieces that were cleared, are ignored."""
        if all(piece.mark != mark for piece in self._waiting):
            return
        while self._waiting:
            piece = self._waiting.popleft()
            self._began_s = now_s
            if piece.mark == mark:
                return

    def cleared(self, now_s: float) -> list[Heard]:
        """The line throws away what it has not played. Returns how far each part with such audio was heard, in order."""
        into_ms = max(0.0, (now_s - self._began_s) * 1000)
        heard: dict[tuple[str, int], float] = {}
        for index, piece in enumerate(self._waiting):
            part = (piece.item_id, piece.content_index)
            played_ms = min(piece.length_ms, into_ms) if index == 0 else 0.0
            heard.setdefault(part, piece.end_ms - piece.length_ms + played_ms)
        self._waiting.clear()
        return [Heard(item_id, index, round(end_ms)) for (item_id, index), end_ms in heard.items()]

    def response_over(self) -> None:
        """No more audio comes of the parts so far: forget where those that were played ended."""
        waiting = {(each.item_id, each.content_index) for each in self._waiting}
        self._ends_ms = {part: end for part, end in self._ends_ms.items() if part in waiting}
