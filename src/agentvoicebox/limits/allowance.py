"""Limits, their scopes, and the result of a check: the types that all limiters share.

Counting is in `redis` (over all gateways) and `local` (in one process); the configured limits are in the settings and in the
tenants' own rows.
"""

import math
import re
from typing import Literal

import msgspec

from agentvoicebox.errors import RateLimited
from agentvoicebox.wire.server_events import RateLimit

Measure = Literal["requests", "tokens"]
MEASURES: tuple[Measure, ...] = ("requests", "tokens")

WINDOW_S = 60.0
SLOTS = 100
"""Parts of a window that are counted separately. A used amount is returned when its whole part is one window old: never early,
so no window of that length ever holds more than the limit, and late by at most one part, 1 % of the window."""

_ID = re.compile(r"[A-Za-z0-9._-]{0,128}")


class Allowance(msgspec.Struct, frozen=True):
    """How much one scope may take within any `window_s`.

    Attributes:
        requests, tokens: 0 or more; None sets no limit.
        window_s: 0.1 or more.
    """

    requests: int | None = None
    tokens: int | None = None
    window_s: float = WINDOW_S

    def of(self, measure: Measure) -> int | None:
        """The limit of one measure; None for no limit."""
        return self.requests if measure == "requests" else self.tokens

    @property
    def slot_ms(self) -> int:
        """The length of one part of the window in milliseconds."""
        return max(1, math.ceil(self.window_s * 1000 / SLOTS))


class Scope(msgspec.Struct, frozen=True):
    """The subject of a limit. Scopes of one check are taken from together, or not at all.

    Attributes:
        kind: `global` covers all tenants.
        id: of the tenant or the key; empty for `global`.
    """

    kind: Literal["global", "tenant", "key"]
    allowance: Allowance
    id: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for an id that could be mistaken for another scope's key."""
        if not _ID.fullmatch(self.id):
            raise ValueError(f"a scope's id is made of letters, digits, '.', '_' and '-', not {self.id!r}")


class LimitState(msgspec.Struct, frozen=True):
    """One limit after a check.

    Attributes:
        name: `tenant.tokens` and the like.
        remaining: what may be taken at once.
        reset_s: until all of it is available again, should nothing more be taken.
    """

    name: str
    limit: int
    remaining: int
    reset_s: float


class LimitResult(msgspec.Struct, frozen=True):
    """The result of one check.

    Attributes:
        remaining, reset_s, limit_name: of the tightest limit (of the one that refused); -1, 0 and "" when nothing is limited.
        retry_after_s: until the same check would succeed; 0 when it was allowed, infinite when it is more than the
            limit itself.
        limits: every limit that was checked.
        is_local: the store was away, so this process decided by itself.
    """

    allowed: bool
    remaining: int = -1
    reset_s: float = 0.0
    retry_after_s: float = 0.0
    limit_name: str = ""
    limits: tuple[LimitState, ...] = ()
    is_local: bool = False

    def require(self) -> None:
        """Raise RateLimited, with the time of a retry, unless it was allowed."""
        if self.allowed:
            return
        if math.isinf(self.retry_after_s):
            message, after_s = f"This asks for more than the limit {self.limit_name} ever allows.", self.reset_s
        else:
            message, after_s = f"Limit {self.limit_name} is reached.", self.retry_after_s
        raise RateLimited(f"{message} Please try again in {after_s:.1f} s.", retry_after_s=after_s)

    def to_wire(self) -> tuple[RateLimit, ...]:
        """For `rate_limits.updated`: for each measure the limit with the least remaining."""
        tightest = []
        for measure in MEASURES:
            states = [state for state in self.limits if state.name.endswith(f".{measure}")]
            if states:
                state = min(states, key=lambda each: each.remaining)
                tightest.append(
                    RateLimit(
                        name=measure,
                        limit=state.limit,
                        remaining=state.remaining,
                        reset_seconds=round(state.reset_s, 3),
                    )
                )
        return tuple(tightest)


class LimitUsage(msgspec.Struct, frozen=True):
    """What a limiter found for one limit, in its own units.

    Attributes:
        taken: within the window, this check included if it was allowed.
        retry_after_ms: 0 when this limit did not refuse; -1 when it can never allow it.
    """

    name: str
    limit: int
    taken: int
    reset_ms: int
    retry_after_ms: int


def limit_result_of(answers: list[LimitUsage], *, is_local: bool) -> LimitResult:
    """One result for many limits: the limit that refuses for longest, or else the one with the least remaining."""
    if not answers:
        return LimitResult(True, is_local=is_local)
    states = tuple(
        LimitState(each.name, each.limit, max(0, each.limit - each.taken), each.reset_ms / 1000) for each in answers
    )
    waits_s = [math.inf if each.retry_after_ms < 0 else each.retry_after_ms / 1000 for each in answers]
    longest_s = max(waits_s)
    if longest_s > 0:
        tightest = states[waits_s.index(longest_s)]
    else:
        tightest = min(states, key=lambda each: each.remaining / each.limit if each.limit else 0.0)
    return LimitResult(
        longest_s == 0, tightest.remaining, tightest.reset_s, longest_s, tightest.name, states, is_local=is_local
    )
