"""Authentication: from a bearer text to a principal, or a refusal that reveals nothing.

A key is checked in PostgreSQL once and then cached for half a minute under a keyed hash; wrong keys are cached separately,
so that a flood of guesses can't evict the valid ones. Argon2 runs in threads, two at a time; when too many checks are
queued, callers are refused as overloaded. Wrong, unknown, revoked and expired keys look the same from outside, in text and time.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BadCredentials, Overloaded, Refused
from agentvoicebox.settings import DEFAULT_TENANT
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.audit_trail import GATE, AuditTrail
from agentvoicebox.tenancy.key_format import LEAD, dummy_hash, is_secret, key_id, read_key
from agentvoicebox.tenancy.principal import Principal
from agentvoicebox.tenancy.standings import Standings

HOT_S = 30.0
MOST_HOT, MOST_WRONG = 10_000, 10_000
CHECKS_AT_ONCE = 2  # Argon2 takes 19 MiB and a core each
MOST_CHECKS_WAITING = 64  # some 0.8 s behind two threads


class _CachedPrincipal(msgspec.Struct, frozen=True):
    principal: Principal
    until_s: float


class Authenticator:
    """Checks and caches keys. One per process.

    Args:
        keys: the tenants' keys; None without PostgreSQL.
        standings: suspension and revocation; None together with `keys`.
        trail: receives every attempt; None writes nothing.
        static_keys: configured keys (AVB_API_KEYS), all of the tenant `default`, for calls and for
            minting secrets; they are in configuration files, so they have no administrative rights.
        is_open: on this machine alone, without configured keys: a caller without one of our keys is the tenant `default`.
    """

    def __init__(
        self,
        keys: ApiKeys | None,
        standings: Standings | None,
        trail: AuditTrail | None,
        *,
        static_keys: Sequence[str] = (),
        is_open: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._keys = keys
        self._standings = standings
        self._trail = trail
        self._static = [key.encode() for key in static_keys]
        self._is_open = is_open
        self._clock = clock or SystemClock()
        self._dummy_hash = dummy_hash()  # computed now, so that the first unknown key takes no longer than others
        self._pepper = secrets.token_bytes(32)
        self._cache: OrderedDict[bytes, _CachedPrincipal] = OrderedDict()
        self._wrong: OrderedDict[bytes, float] = OrderedDict()
        self._running_checks: dict[bytes, asyncio.Task[Principal | None]] = {}
        self._checking = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def authenticate(self, bearer: str) -> Principal:
        """The principal of this key.

        Raises:
            BadCredentials: the key is wrong, unknown, revoked or expired.
            PolicyDenied: a valid key of a suspended tenant.
            Overloaded: too many unknown keys are being checked.
            StorageLost: the key is not cached and PostgreSQL is away.
        """
        principal = None
        try:
            principal = await self._principal_of(bearer)
            if principal is None:
                raise BadCredentials("Incorrect API key provided.")
            if self._standings is not None:
                await self._standings.require_good(principal)
        except Refused as error:
            self._audit("auth.refused", principal, bearer, error.code or "")
            raise
        self._audit("auth.accepted", principal, bearer, "")
        return principal

    async def _principal_of(self, bearer: str) -> Principal | None:
        text = bearer.encode("utf-8", "surrogatepass")
        # Every configured key is compared, in constant time: the duration reveals nothing about a guess.
        matches = [hmac.compare_digest(text, key) for key in self._static]
        if any(matches):
            return Principal(DEFAULT_TENANT, f"key_env_{matches.index(True) + 1}")
        if not bearer.startswith(LEAD):
            return Principal(DEFAULT_TENANT, "key_none") if self._is_open else None
        read = read_key(bearer)
        if read is None or self._keys is None:
            return None
        digest = hashlib.blake2b(text, key=self._pepper, digest_size=32).digest()
        now_s = self._clock.monotonic_s()
        hot = self._cache.get(digest)
        if hot is not None and now_s < hot.until_s:
            self._cache.move_to_end(digest)
            return hot.principal
        if now_s < self._wrong.get(digest, now_s):
            return None
        check = self._running_checks.get(digest)
        if check is None:
            if len(self._running_checks) >= MOST_CHECKS_WAITING:
                raise Overloaded("Too many keys are being checked; please call again in a moment.")
            check = asyncio.create_task(self._check(self._keys, digest, *read), name="key check")
            self._running_checks[digest] = check
            check.add_done_callback(lambda done: self._checked(digest, done))
        return await asyncio.shield(check)  # several callers may wait for it; a cancelled one must not cancel the check

    async def _check(self, keys: ApiKeys, digest: bytes, prefix: str, secret: str) -> Principal | None:
        async with self._checking:
            began_s = self._clock.monotonic_s()
            stored = await keys.find(prefix)
            secret_hash = self._dummy_hash if stored is None else stored.secret_hash
            is_right = await asyncio.to_thread(is_secret, secret, secret_hash)
        now = datetime.fromtimestamp(self._clock.wall_s(), UTC)
        if stored is None or not is_right or not stored.is_good(now):
            self._wrong[digest] = began_s + HOT_S
            if len(self._wrong) > MOST_WRONG:
                self._wrong.popitem(last=False)
            return None
        principal = Principal(stored.tenant_id, key_id(prefix), stored.scopes)
        left_s = HOT_S if stored.expires_at is None else min(HOT_S, (stored.expires_at - now).total_seconds())
        self._cache[digest] = _CachedPrincipal(principal, began_s + left_s)
        if len(self._cache) > MOST_HOT:
            self._cache.popitem(last=False)
        return principal

    def _checked(self, digest: bytes, check: asyncio.Task[Principal | None]) -> None:
        self._running_checks.pop(digest, None)
        if not check.cancelled():
            check.exception()  # mark the exception as retrieved, even without waiters

    async def close(self) -> None:
        """Cancel checks without waiters."""
        waiting = list(self._running_checks.values())
        for check in waiting:
            check.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def _audit(self, action: str, principal: Principal | None, bearer: str, reason: str) -> None:
        if self._trail is None:
            return
        if principal is not None:
            self._trail.add(principal.tenant_id, action, actor=principal.key_id, reason=reason)
            return
        read = read_key(bearer)
        self._trail.add(GATE, action, actor="unknown" if read is None else key_id(read[0]), reason=reason)
