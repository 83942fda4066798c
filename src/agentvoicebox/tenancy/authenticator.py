"""Checks API keys: from a bearer text to a principal, or a refusal that gives nothing away.

A key is checked in PostgreSQL once and then remembered for half a minute by a keyed hash. Wrong keys are remembered in a cache
of their own, so a flood of guesses can't evict the good ones. Argon2 runs in threads, two at a time; when too many checks wait,
further callers are refused. Wrong, unknown, revoked and expired keys get the same answer in the same time.
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
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.tenancy.account_status_cache import AccountStatusCache
from agentvoicebox.tenancy.api_keys import AccountStatus, ApiKeys
from agentvoicebox.tenancy.audit_trail import GATE, AuditTrail
from agentvoicebox.tenancy.key_format import LEAD, dummy_hash, is_secret, key_id, read_key
from agentvoicebox.tenancy.principal import Principal

HOT_S = 30.0
MAX_HOT, MAX_WRONG = 10_000, 10_000
PARALLEL_CHECKS = 2  # Argon2 takes 19 MiB and a core each
MAX_CHECKS_WAITING = 64  # about 0.8 s of waiting behind two threads


class _CachedPrincipal(msgspec.Struct, frozen=True):
    principal: Principal
    until_s: float


class Authenticated(msgspec.Struct, frozen=True):
    """A caller with a good key, and the status of its account."""

    principal: Principal
    account: AccountStatus


class Authenticator:
    """One per process.

    Args:
        keys: the tenants' keys; None where there is no PostgreSQL.
        accounts: suspended tenants, revoked keys; None with `keys`.
        trail: where every attempt is recorded; None records nothing.
        static_keys: configured keys (AVB_API_KEYS), all of the tenant `default`, for sessions and for
            minting secrets; configuration files hold them, so they have no admin rights.
        is_open: on this machine alone, without configured keys: a caller without one of our keys is the tenant `default`.
    """

    def __init__(
        self,
        keys: ApiKeys | None,
        accounts: AccountStatusCache | None,
        trail: AuditTrail | None,
        *,
        static_keys: Sequence[str] = (),
        is_open: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._keys = keys
        self._accounts = accounts
        self._trail = trail
        self._static = [key.encode() for key in static_keys]
        self._is_open = is_open
        self._clock = clock or SystemClock()
        self._dummy_hash = dummy_hash()  # created now, so that the first unknown key takes no longer than others
        self._pepper = secrets.token_bytes(32)
        self._cache: OrderedDict[bytes, _CachedPrincipal] = OrderedDict()
        self._wrong: OrderedDict[bytes, float] = OrderedDict()
        self._running_checks: dict[bytes, asyncio.Task[Principal | None]] = {}
        self._checking = asyncio.Semaphore(PARALLEL_CHECKS)

    async def authenticate(self, bearer: str) -> Authenticated:
        """The owner of a key.

        Raises:
            BadCredentials: a key that is wrong, unknown, revoked or expired.
            PolicyDenied: a good key of a suspended tenant.
            Overloaded: too many unknown keys are being checked.
            StorageLost: the key is not cached and PostgreSQL is away.
        """
        principal = None
        account = AccountStatus()
        try:
            principal = await self._principal_of(bearer)
            if principal is None:
                raise BadCredentials("Incorrect API key provided.")
            if self._accounts is not None:
                account = await self._accounts.require_active(principal)
        except Refused as error:
            self._audit("auth.refused", principal, bearer, error.code or "")
            raise
        self._audit("auth.accepted", principal, bearer, "")
        return Authenticated(principal, account)

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
            if len(self._running_checks) >= MAX_CHECKS_WAITING:
                raise Overloaded("Too many keys are being checked; please call again in a moment.")
            check = asyncio.create_task(self._check(self._keys, digest, *read), name="key check")
            self._running_checks[digest] = check
            check.add_done_callback(lambda done: self._checked(digest, done))
        return await asyncio.shield(check)  # several callers may wait for it; one that leaves must not cancel it

    async def _check(self, keys: ApiKeys, digest: bytes, prefix: str, secret: str) -> Principal | None:
        async with self._checking:
            began_s = self._clock.monotonic_s()
            stored = await keys.find(prefix)
            secret_hash = self._dummy_hash if stored is None else stored.secret_hash
            is_right = await asyncio.to_thread(is_secret, secret, secret_hash)
        now = datetime.fromtimestamp(self._clock.wall_s(), UTC)
        if stored is None or not is_right or not stored.is_good(now):
            self._wrong[digest] = began_s + HOT_S
            if len(self._wrong) > MAX_WRONG:
                self._wrong.popitem(last=False)
            return None
        principal = Principal(stored.tenant_id, key_id(prefix), stored.scopes)
        left_s = HOT_S if stored.expires_at is None else min(HOT_S, (stored.expires_at - now).total_seconds())
        self._cache[digest] = _CachedPrincipal(principal, began_s + left_s)
        if len(self._cache) > MAX_HOT:
            self._cache.popitem(last=False)
        return principal

    def _checked(self, digest: bytes, check: asyncio.Task[Principal | None]) -> None:
        self._running_checks.pop(digest, None)
        if not check.cancelled():
            check.exception()  # retrieved, even when no caller waits any more

    async def close(self) -> None:
        """Cancel the checks that no caller waits for any more."""
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
