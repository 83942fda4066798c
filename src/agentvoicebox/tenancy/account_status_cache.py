"""The account status of tenants and keys, remembered for half a minute: decides how soon a suspension takes effect.

A new caller is checked against a status that is at most `FRESH_S` old. An open session that asks every `ASK_EVERY_S` learns of
a suspension, a revoked key, or changed limits within 60 s. While PostgreSQL is away, the last answer is used until it is
`MAX_AGE_S` old.
"""

from collections import OrderedDict

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BadCredentials, PolicyDenied, StorageLost
from agentvoicebox.tenancy.api_keys import AccountStatus, ApiKeys
from agentvoicebox.tenancy.key_format import prefix_of
from agentvoicebox.tenancy.principal import Principal

FRESH_S = 30.0
ASK_EVERY_S = 20.0  # with FRESH_S: 50 s at worst
MAX_AGE_S = 60.0
RETRY_AFTER_S = 5.0  # after PostgreSQL was found away
MAX_REMEMBERED = 10_000


class _Known(msgspec.Struct, frozen=True):
    account: AccountStatus
    learned_s: float


class AccountStatusCache:
    """Answers from memory, or from PostgreSQL."""

    def __init__(self, keys: ApiKeys, *, clock: Clock | None = None) -> None:
        self._keys = keys
        self._clock = clock or SystemClock()
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._away_until_s = float("-inf")

    async def of(self, principal: Principal) -> AccountStatus:
        """The status of a principal's tenant and key.

        Raises:
            StorageLost: PostgreSQL is away and what is remembered is too old. Not for a configured key, which needs no PostgreSQL
                and counts as active.
        """
        key = (principal.tenant_id, principal.key_id)
        known, now_s = self._known.get(key), self._clock.monotonic_s()
        if known is not None and now_s < known.learned_s + FRESH_S:
            return known.account
        prefix = prefix_of(principal.key_id)
        try:
            if now_s < self._away_until_s:
                raise StorageLost("PostgreSQL was away a moment ago")
            account = await self._keys.account_status(principal.tenant_id, prefix)
        except StorageLost:
            if now_s >= self._away_until_s:  # PostgreSQL was asked and did not answer
                self._away_until_s = now_s + RETRY_AFTER_S
            if known is not None and now_s < known.learned_s + MAX_AGE_S:
                return known.account
            if prefix is None:
                return AccountStatus()
            raise
        self._known[key] = _Known(account, now_s)
        self._known.move_to_end(key)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return account

    async def require_active(self, principal: Principal) -> AccountStatus:
        """As `of`, but refuse suspended tenants and ended keys.

        Raises:
            PolicyDenied: the tenant is suspended.
            BadCredentials: the key was revoked, or has expired.
            StorageLost: see `of`.
        """
        account = await self.of(principal)
        if account.is_suspended:
            raise PolicyDenied("This account is suspended.", code="account_deactivated")
        if not account.is_key_good:
            raise BadCredentials("Incorrect API key provided.")
        return account
