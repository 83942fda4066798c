"""Puts packets of audio in order, and says what is lost.

A session takes audio as fast as it comes, so nothing is delayed while nothing is missing. At a gap it waits as long as packets
have lately been late, then goes on without the missing ones.
"""

from collections import deque

import msgspec

LEAST_WAIT_S = 0.04
FIRST_WAIT_S = 0.08
MOST_WAIT_S = 0.2
MARGIN = 1.25  # of the wait over the latest packet seen
FORGETS = 0.998  # a packet: in about ten seconds the wait has halved
MOST_PACKETS = 100  # that wait behind a gap: two seconds
RESTART = 1_000  # a jump of numbers by more is a new stream
NUMBERS, TIMES = 1 << 16, 1 << 32  # numbers and timestamps of RTP wrap


class Packet(msgspec.Struct, frozen=True):
    """Audio that came. `timestamp`: of its first sample, at 48 kHz; wraps at 2³²."""

    number: int
    timestamp: int
    data: bytes


class InOrder(msgspec.Struct, frozen=True):
    """The next packet, and how many packets before it are lost."""

    packet: Packet
    lost: int = 0


class JitterBuffer:
    """One stream's. Times are seconds of a monotonic clock.

    Attributes:
        lost: packets that were given up.
        late: of them, those that came after all.
    """

    def __init__(self) -> None:
        self._next: int | None = None  # number of the packet that is due
        self._waiting: dict[int, Packet] = {}
        self._came_s: dict[int, float] = {}  # when each of those
        self._latest_s = FIRST_WAIT_S / MARGIN  # how late packets have been, fading
        self._given_up: deque[tuple[int, float]] = deque(maxlen=MOST_PACKETS)  # numbers, since when they were missing
        self.lost = 0
        self.late = 0

    @property
    def wait_s(self) -> float:
        """How long a gap may stay open."""
        return min(max(MARGIN * self._latest_s, LEAST_WAIT_S), MOST_WAIT_S)

    @property
    def due_s(self) -> float | None:
        """When `take` gives up what is missing; None while nothing waits."""
        return self._gap_since_s + self.wait_s if self._waiting else None

    @property
    def _gap_since_s(self) -> float:
        """When the first packet after the gap came."""
        return min(self._came_s.values())

    def add(self, packet: Packet, now_s: float) -> None:
        """A packet came. One that came before, or too late, is ignored."""
        self._latest_s *= FORGETS
        if self._next is None:
            self._next = packet.number
        ahead = _distance(self._next, packet.number)
        if abs(ahead) > RESTART:
            self._waiting.clear()
            self._came_s.clear()
            self._next = packet.number
        elif ahead < 0:
            self._was_late(packet.number, now_s)
            return
        elif ahead == 0 and self._waiting:
            self._latest_s = max(self._latest_s, now_s - self._gap_since_s)
        self._waiting.setdefault(packet.number, packet)
        self._came_s.setdefault(packet.number, now_s)

    def take(self, now_s: float) -> list[InOrder]:
        """What can be heard now."""
        taken: list[InOrder] = []
        while self._waiting:
            assert self._next is not None
            packet = self._waiting.pop(self._next, None)
            lost = 0
            if packet is None:
                since_s = self._gap_since_s
                if now_s < since_s + self.wait_s and len(self._waiting) <= MOST_PACKETS:
                    return taken
                start = self._next
                number = min(self._waiting, key=lambda each: _distance(start, each))
                packet = self._waiting.pop(number)
                lost = _distance(start, number)
                self.lost += lost
                self._given_up.extend(((start + each) % NUMBERS, since_s) for each in range(lost))
            del self._came_s[packet.number]
            self._next = (packet.number + 1) % NUMBERS
            taken.append(InOrder(packet, lost))
        return taken

    def _was_late(self, number: int, now_s: float) -> None:
        since_s = next((since_s for each, since_s in self._given_up if each == number), None)
        if since_s is not None:
            self.late += 1
            self._latest_s = max(self._latest_s, min(now_s - since_s, MOST_WAIT_S))


def _distance(start: int, end: int) -> int:
    """How far `end` is after `start`, as numbers that wrap; negative: before it."""
    return (end - start + NUMBERS // 2) % NUMBERS - NUMBERS // 2
