"""Admission of calls to a backend: one circuit breaker for its failures, one for its rate limit.

Has the two pure states and a clock, and reports each change of state for logs and metrics. The result of a call that was admitted
before the last change is ignored, so that late failures do not open a breaker and late answers do not close it.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.errors import ProviderUnavailable
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy, BreakerState

# Sanity counts requests a second, so a short pause is enough.
LIMITED = BreakerPolicy(failures_to_open=5, open_s=5.0)

OnChange = Callable[[str, BreakerState, BreakerState], None]


class Verdict(StrEnum):
    """The result of an admitted call."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LIMITED = "limited"
    RELEASED = "released"  # no information about the backend's health


class Ticket(msgspec.Struct, frozen=True):
    """Admission of one call.

    Attributes:
        generation: number of state changes before the admission.
        is_probe: whether this is the one call that tests whether the backend is available again.
    """

    generation: int
    is_probe: bool


class Gate:
    """The gate of one backend.

    Args:
        name: name of the backend in errors and metrics; that of its rate limit is `<name>_rate_limit`.
        on_change: called with (name, state before, state after).
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        policy: BreakerPolicy | None = None,
        limited: BreakerPolicy = LIMITED,
        on_change: OnChange | None = None,
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._generation = 0
        names = (name, f"{name}_rate_limit")
        self._breakers = dict(zip(names, (Breaker(policy or BreakerPolicy()), Breaker(limited)), strict=True))
        self._last_states = dict.fromkeys(names, BreakerState.CLOSED)
        self._failures, self._limit = names

    @property
    def state(self) -> BreakerState:
        """State of the breaker for failures, for health and metrics."""
        return self._breakers[self._failures].state(self._clock.monotonic_s())

    @property
    def states(self) -> dict[str, BreakerState]:
        """The state of both breakers, by name."""
        now_s = self._clock.monotonic_s()
        return {name: breaker.state(now_s) for name, breaker in self._breakers.items()}

    def admit(self) -> Ticket:
        """Admit a call; report its result with `report`. Raises ProviderUnavailable if no call is allowed now."""
        now_s = self._clock.monotonic_s()
        before = dict(self._breakers)
        is_probe = False
        for name, breaker in before.items():
            is_probe |= breaker.state(now_s) is BreakerState.HALF_OPEN
            self._breakers[name], is_admitted = breaker.admit(now_s)
            if not is_admitted:
                self._breakers = before
                wait_s = breaker.retry_after_s(now_s)
                why = "has limited our requests" if name == self._limit else "has failed too often"
                raise ProviderUnavailable(f"{self._failures} {why}; the next request is possible in {wait_s:.0f} s")
        self._notify()
        return Ticket(self._generation, is_probe)

    def report(self, ticket: Ticket, verdict: Verdict) -> None:
        """Report the result of an admitted call."""
        if ticket.generation != self._generation:
            return
        now_s = self._clock.monotonic_s()
        failures, limit = self._breakers[self._failures], self._breakers[self._limit]
        match verdict:
            case Verdict.SUCCEEDED:
                failures, limit = failures.succeeded(), limit.succeeded()
            case Verdict.FAILED:
                failures, limit = failures.failed(now_s), limit.released()
            case Verdict.LIMITED:
                failures, limit = failures.released(), limit.failed(now_s)
            case Verdict.RELEASED:
                failures, limit = failures.released(), limit.released()
        self._breakers = {self._failures: failures, self._limit: limit}
        self._notify()

    def reset(self) -> None:
        """Close both breakers."""
        self._breakers = {name: Breaker(breaker.policy) for name, breaker in self._breakers.items()}
        self._notify()

    def _notify(self) -> None:
        now_s = self._clock.monotonic_s()
        for name, breaker in self._breakers.items():
            before, after = self._last_states[name], breaker.state(now_s)
            if before is not after:
                self._last_states[name] = after
                self._generation += 1
                if self._on_change is not None:
                    self._on_change(name, before, after)
