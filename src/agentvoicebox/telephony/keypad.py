"""Numbers that a caller types on the keys of a telephone."""

PAUSE_S = 3.0  # after a key this long without another one, the number is complete
END = "#"
MOST_KEYS = 40  # the longest tracking number has 34


class Keypad:
    """Collects keys to a number. `#` or a pause ends it; `*` begins again."""

    def __init__(self) -> None:
        self._keys = ""
        self._last_s = 0.0

    def press(self, key: str, now_s: float) -> str:
        """A key was pressed. Returns the number that it ends, or ""."""
        self._last_s = now_s
        if key == END:
            return self._take()
        if key == "*":
            self._keys = ""
            return ""
        self._keys += key
        return self._take() if len(self._keys) >= MOST_KEYS else ""

    def waits_s(self, now_s: float) -> float | None:
        """Seconds until the number is complete if no other key is pressed; None when there is no number."""
        return max(0.0, self._last_s + PAUSE_S - now_s) if self._keys else None

    def due(self, now_s: float) -> str:
        """The number, if the pause after its last key is over, or ""."""
        return self._take() if self._keys and now_s - self._last_s >= PAUSE_S else ""

    def _take(self) -> str:
        keys, self._keys = self._keys, ""
        return keys
