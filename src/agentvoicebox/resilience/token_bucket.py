"""A token bucket: a steady rate with room for bursts, in two numbers of state."""


class TokenBucket:
    """Starts full. Times are monotonic seconds."""

    def __init__(self, per_s: float, burst: float) -> None:
        """`per_s`: tokens that come in a second; 0: no limit. `burst`: most tokens that it holds."""
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._at_s = float("-inf")

    def take(self, now_s: float, tokens: float = 1.0) -> float:
        """Take tokens, on credit if there are too few. Returns for how many seconds the taker should wait; 0 if none."""
        if not self._per_s:
            return 0.0
        self._refill(now_s)
        self._tokens -= tokens
        return max(0.0, -self._tokens / self._per_s)

    def give_back(self, tokens: float) -> None:
        """What was taken is not used after all."""
        self._tokens = min(self._burst, self._tokens + tokens)

    def try_take(self, now_s: float) -> float:
        """Take one token if there is one. Returns in how many seconds there will be; 0 when it was taken."""
        if not self._per_s:
            return 0.0
        self._refill(now_s)
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_s
        self._tokens -= 1
        return 0.0

    def _refill(self, now_s: float) -> None:
        if now_s > self._at_s:
            self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._per_s)
            self._at_s = now_s
