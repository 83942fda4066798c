"""A circuit breaker: after some failures in a row calls are blocked for a while, then one probe is allowed.

Closed → (failures in a row) → open → (time) → half open, one probe → closed, or open again. The owner of the state calls
`admit` before a call and reports `succeeded`, `failed` or `released` after it. `now_s` is monotonic.
"""

from enum import StrEnum

import msgspec


class BreakerState(StrEnum):
    """The state as shown in metrics and health."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


def most_open(*states: BreakerState) -> BreakerState:
    """Of several breakers, the state that blocks most."""
    return max(states, key=(BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN).index)


class BreakerPolicy(msgspec.Struct, frozen=True):
    """When it opens, and for how long. Defaults: requirement A9."""

    failures_to_open: int = 5
    open_s: float = 30.0
    probe_s: float = 30.0  # a probe without a report counts as lost after this time


class Breaker(msgspec.Struct, frozen=True):
    """The state.

    Attributes:
        failures: in a row.
        opened_s: when it opened, or None while closed.
        probing_since_s: when the probe went out, or None.
    """

    policy: BreakerPolicy = BreakerPolicy()
    failures: int = 0
    opened_s: float | None = None
    probing_since_s: float | None = None

    def state(self, now_s: float) -> BreakerState:
        """The state now."""
        if self.opened_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self.opened_s + self.policy.open_s else BreakerState.HALF_OPEN

    def admit(self, now_s: float) -> tuple["Breaker", bool]:
        """Request a call. Returns (next state, whether the call is allowed); half open, one call at a time is."""
        match self.state(now_s):
            case BreakerState.CLOSED:
                return self, True
            case BreakerState.OPEN:
                return self, False
        if self.probing_since_s is not None and now_s < self.probing_since_s + self.policy.probe_s:
            return self, False
        return msgspec.structs.replace(self, probing_since_s=now_s), True

    def succeeded(self) -> "Breaker":
        """An admitted call succeeded."""
        return Breaker(self.policy)

    def failed(self, now_s: float) -> "Breaker":
        """An admitted call failed. A failed probe, or the last failure of the row, opens the breaker (again)."""
        failures = self.failures + 1
        if self.opened_s is not None or failures >= self.policy.failures_to_open:
            return Breaker(self.policy, failures, opened_s=now_s)
        return Breaker(self.policy, failures)

    def released(self) -> "Breaker":
        """An admitted call ended without a result about the other side (cancelled)."""
        return msgspec.structs.replace(self, probing_since_s=None)

    def retry_after_s(self, now_s: float) -> float:
        """Seconds until a probe is allowed; 0 when calls are allowed now."""
        return 0.0 if self.opened_s is None else max(0.0, self.opened_s + self.policy.open_s - now_s)
