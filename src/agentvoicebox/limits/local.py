"""The limits of one process, for as long as the store is away. The same windows as `lua/consume.lua`, in this process's memory.

It counts everything that the store admitted here, so that an outage grants no fresh allowance at this gateway; it can't know what
other gateways admit, so each uses only its share.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.limits.allowance import MEASURES, SLOTS, Allowance, LimitUsage, Scope

# maximum of remembered windows, some 10 MB when all are busy; the least recently used is dropped first
MOST_WINDOWS = 10_000


class _Window:
    """What one limit granted within the last window."""

    def __init__(self) -> None:
        self.slots: deque[list[int]] = deque()  # [slot, taken in it], oldest first
        self.total = 0

    def forget_before(self, oldest: int) -> None:
        while self.slots and self.slots[0][0] < oldest:
            self.total -= self.slots.popleft()[1]

    def add(self, slot: int, amount: int) -> None:
        if not self.slots or self.slots[-1][0] < slot:
            self.slots.append([slot, 0])
        self.slots[-1][1] += amount
        self.total += amount


class LocalLimits:
    """Counts in this process.

    Args:
        peers: gateways that share the limits; each grants its part of them (at least 1 of a limit that allows any).
    """

    def __init__(self, *, peers: int = 1, most_windows: int = MOST_WINDOWS, clock: Clock | None = None) -> None:
        self._peers = peers
        self._most_windows = most_windows
        self._clock = clock or SystemClock()
        self._windows: OrderedDict[tuple[str, str, str, int], _Window] = OrderedDict()

    def consume(
        self, scopes: Sequence[Scope], *, requests: int, tokens: int, is_forced: bool = False
    ) -> list[LimitUsage]:
        """Take from all of them or from none; `is_forced`: from all, regardless of the limits. See lua/consume.lua."""
        now_ms = int(self._clock.monotonic_s() * 1000)
        amounts = {"requests": requests, "tokens": tokens}
        asked = [
            (scope, measure, limit, self._window(scope.kind, scope.id, measure, scope.allowance, now_ms))
            for scope in scopes
            for measure in MEASURES
            if (limit := scope.allowance.of(measure)) is not None
        ]
        found = [
            (f"{scope.kind}.{measure}", limit, scope.allowance.slot_ms, amounts[measure], window, self._share(limit))
            for scope, measure, limit, window in asked
        ]
        fits = is_forced or all(not amount or window.total + amount <= share for *_, amount, window, share in found)
        answers = []
        for name, limit, slot_ms, amount, window, share in found:
            wait_ms = 0
            if fits and amount:
                window.add(now_ms // slot_ms, amount)
            elif amount and window.total + amount > share:
                wait_ms = -1 if amount > share else _wait_ms(window, amount, share, slot_ms, now_ms)
            reset_ms = (window.slots[-1][0] + SLOTS + 1) * slot_ms - now_ms if window.slots else 0
            answers.append(LimitUsage(name, limit, window.total + limit - share, reset_ms, wait_ms))
        return answers

    def _share(self, limit: int) -> int:
        return -(-limit // self._peers)

    def _window(self, kind: str, scope_id: str, measure: str, allowance: Allowance, now_ms: int) -> _Window:
        key = (kind, scope_id, measure, allowance.slot_ms)
        window = self._windows.setdefault(key, _Window())
        self._windows.move_to_end(key)
        if len(self._windows) > self._most_windows:
            self._windows.popitem(last=False)
        window.forget_before(now_ms // allowance.slot_ms - SLOTS)
        return window


def _wait_ms(window: _Window, amount: int, share: int, slot_ms: int, now_ms: int) -> int:
    """Until enough is returned; the amount is known to fit an empty window."""
    needed = window.total + amount - share
    for slot, taken in window.slots:
        needed -= taken
        if needed <= 0:
            return max(1, (slot + SLOTS + 1) * slot_ms - now_ms)
    return 0
