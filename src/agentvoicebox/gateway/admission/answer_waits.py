"""How long a new caller would wait for an answer: as long as those who are here have just waited for the engines.

Work that is claimed at once may still wait inside a worker, for a thread: then no queue is old, but every answer is late. So the
answers themselves are watched. What the caller's own pause, the language model and tools take is left out: fewer calls would not
shorten it. Reads no clock: it counts health checks, which come twice a second.
"""

from collections import deque
from collections.abc import Mapping
from statistics import median

ENGINE_PARTS = ("stt", "queue", "tts", "gateway")  # of a turn's account (`telemetry/tap`)
BOUND_S = 1.0  # a caller who waits longer than that, and the usual second, says "hello?"
CHECKS = 20  # ten seconds
LEAST = 5  # fewer answers say little
MOST_OF_A_CHECK = 1_000


class AnswerWaits:
    """Waits of the last seconds, over all calls of one gateway.

    Attributes:
        expected_s: the median; 0 while there were too few answers.
    """

    def __init__(self, *, bound_s: float = BOUND_S) -> None:
        """Too long from `bound_s` on."""
        self.expected_s = 0.0
        self._bound_s = bound_s
        self._checks: deque[list[float]] = deque([[]], maxlen=CHECKS)

    @property
    def is_too_long(self) -> bool:
        """Whether one more caller would wait too long, and make the others wait longer."""
        return self.expected_s >= self._bound_s

    def answered(self, parts_ms: Mapping[str, float]) -> None:
        """A turn's first audio was sent; `parts_ms` are the parts of its wait."""
        if len(self._checks[-1]) < MOST_OF_A_CHECK:
            self._checks[-1].append(sum(parts_ms.get(part, 0.0) for part in ENGINE_PARTS) / 1000)

    def checked(self) -> None:
        """Half a second is over."""
        waits_s = [wait_s for check in self._checks for wait_s in check]
        self.expected_s = median(waits_s) if len(waits_s) >= LEAST else 0.0
        self._checks.append([])
