"""How tenants and keys stand, remembered for half a minute: the one place that decides how soon a suspension acts.

A new caller is judged by what is at most `FRESH_S` old, and an open session that asks every `ASK_EVERY_S` hears of a suspension,
a revoked key, or other limits within 60 s. While PostgreSQL is away the last answer serves until it is `LONGEST_S` old.
"""

from collections import OrderedDict

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BadCredentials, PolicyDenied, StorageLost
from agentvoicebox.limits.allowance import Allowance
from agentvoicebox.tenancy.api_keys import ApiKeys, Standing
from agentvoicebox.tenancy.key_format import prefix_of
from agentvoicebox.tenancy.principal import Principal

FRESH_S = 30.0
ASK_EVERY_S = 20.0  # with FRESH_S: 50 s at worst
LONGEST_S = 60.0
AWAY_S = 5.0  # how long nobody tries again after PostgreSQL was found away
MOST_REMEMBERED = 10_000


class _Known(msgspec.Struct, frozen=True):
    standing: Standing
    learned_s: float


class Standings:
    """Answers from memory, or from PostgreSQL."""

    def __init__(self, keys: ApiKeys, *, clock: Clock | None = None) -> None:
        self._keys = keys
        self._clock = clock or SystemClock()
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._away_until_s = float("-inf")

    async def of(self, principal: Principal) -> Standing:
        """How a principal stands.

        Raises:
            StorageLost: PostgreSQL is away, and what we knew is too old. A configured key needs no PostgreSQL and stands well.
        """
        key = (principal.tenant_id, principal.key_id)
        known, now_s = self._known.get(key), self._clock.monotonic_s()
        if known is not None and now_s < known.learned_s + FRESH_S:
            return known.standing
        prefix = prefix_of(principal.key_id)
        try:
            if now_s < self._away_until_s:
                raise StorageLost("PostgreSQL was away a moment ago")
            standing = await self._keys.standing(principal.tenant_id, prefix)
        except StorageLost:
            if now_s >= self._away_until_s:  # it was asked, and did not answer
                self._away_until_s = now_s + AWAY_S
            if known is not None and now_s < known.learned_s + LONGEST_S:
                return known.standing
            if prefix is None:
                return Standing()
            raise
        self._known[key] = _Known(standing, now_s)
        self._known.move_to_end(key)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return standing

    async def require_good(self, principal: Principal) -> Standing:
        """The same, for whoever is only interested in those who may go on.

        Raises:
            PolicyDenied: the tenant is suspended.
            BadCredentials: the key was revoked, or is over.
            StorageLost: see `of`.
        """
        standing = await self.of(principal)
        if standing.is_suspended:
            raise PolicyDenied("This account is suspended.", code="account_deactivated")
        if not standing.is_key_good:
            raise BadCredentials("Incorrect API key provided.")
        return standing


def allowance_of(standing: Standing, default: Allowance) -> Allowance:
    """The limits of a tenant: its own figures, and the deployment's where it has none."""
    own = standing.limits
    return Allowance(
        requests=default.requests if own.requests is None else own.requests,
        tokens=default.tokens if own.tokens is None else own.tokens,
        window_s=default.window_s if own.window_s is None else own.window_s,
    )
