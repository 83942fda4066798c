"""A sliding window over recent outcomes: how many calls, how many failed, within the last seconds.

Counts are kept in slots, so memory and time don't grow with the number of calls; the oldest slot is dropped as a whole.
"""

import msgspec


class Slot(msgspec.Struct, frozen=True):
    """Counts of one time slot; `index` is its number since time 0."""

    index: int
    calls: int = 0
    failures: int = 0


class Window(msgspec.Struct, frozen=True):
    """The state.

    Attributes:
        length_s: the length of the window.
        slot_count: number of slots, at least 1; the edge is exact to `length_s / slot_count`.
        slots: oldest first.
    """

    length_s: float = 60.0
    slot_count: int = 12
    slots: tuple[Slot, ...] = ()

    def add(self, now_s: float, *, is_failure: bool) -> "Window":
        """Add one call, at `now_s` (monotonic, never before an earlier one)."""
        index = self._index(now_s)
        slots = self._within(index)
        last = slots[-1] if slots and slots[-1].index == index else Slot(index)
        head = slots[:-1] if slots and slots[-1].index == index else slots
        last = Slot(index, last.calls + 1, last.failures + int(is_failure))
        return msgspec.structs.replace(self, slots=(*head, last))

    def counts(self, now_s: float) -> tuple[int, int]:
        """(calls, failures) within the window that ends at `now_s`."""
        slots = self._within(self._index(now_s))
        return sum(slot.calls for slot in slots), sum(slot.failures for slot in slots)

    def _index(self, now_s: float) -> int:
        return int(now_s * self.slot_count / self.length_s)

    def _within(self, index: int) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if slot.index > index - self.slot_count)
