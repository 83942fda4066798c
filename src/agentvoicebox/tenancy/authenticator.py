"""Checks API keys: from a bearer text to a principal, or a refusal that gives nothing away.

A key is looked up and checked once, and then known in memory, by a keyed hash, until it was not used for an hour; what changes
about it (revoked, suspended, …) is in its account status. Wrong keys are remembered in a cache of their own, so a flood of
guesses can't evict the good ones. Wrong, unknown, revoked and expired keys get the same answer.
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
from agentvoicebox.errors import BadCredentials, InfrastructureError, Refused
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.tenancy.account_status_cache import AccountStatusCache
from agentvoicebox.tenancy.api_keys import AccountStatus, ApiKeys, StoredKey
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.key_format import LEAD, hash_of, is_fast, is_secret, key_id, read_key
from agentvoicebox.tenancy.key_lookup import KeyLookup
from agentvoicebox.tenancy.last_answers import POSTGRES_WAIT_S
from agentvoicebox.tenancy.principal import Principal
from agentvoicebox.tenancy.slow_hashes import SlowHashes

HOT_S = 3_600.0
WRONG_S = 30.0
MAX_HOT, MAX_WRONG = 10_000, 10_000

log = get_logger(__name__)


class _HotKey(msgspec.Struct):
    """A key that was checked."""

    principal: Principal
    used_s: float
    expires_at: datetime | None


class Authenticated(msgspec.Struct, frozen=True):
    """A caller with a good key, and the status of its account."""

    principal: Principal
    account: AccountStatus


class Authenticator:
    """One per process. `close` it at the end.

    Args:
        keys: the tenants' keys; None where there is no PostgreSQL.
        accounts: suspended tenants, revoked keys; None with `keys`.
        trail: where every attempt is recorded; None records nothing.
        static_keys: configured keys (AVB_API_KEYS), all of the tenant `default`, for sessions and for
            minting secrets; configuration files hold them, so they have no admin rights.
        is_open: on this machine alone, without configured keys: a caller without one of our keys is the tenant `default`.
        wait_s: how long a caller waits for PostgreSQL.
    """

    def __init__(
        self,
        keys: ApiKeys | None,
        accounts: AccountStatusCache | None,
        trail: AuditTrail | None,
        *,
        static_keys: Sequence[str] = (),
        is_open: bool = False,
        wait_s: float = POSTGRES_WAIT_S,
        clock: Clock | None = None,
    ) -> None:
        self._keys = keys
        self._lookup = None if keys is None else KeyLookup(keys.find_all, wait_s=wait_s)
        self._slow_hashes = SlowHashes()
        self._accounts = accounts
        self._trail = trail
        self._static = [key.encode() for key in static_keys]
        self._is_open = is_open
        self._clock = clock or SystemClock()
        self._dummy_hash = hash_of("", secrets.token_urlsafe())
        self._pepper = secrets.token_bytes(32)
        self._hot: OrderedDict[bytes, _HotKey] = OrderedDict()
        self._wrong: OrderedDict[bytes, float] = OrderedDict()
        self._running_checks: dict[bytes, asyncio.Task[Principal | None]] = {}
        self._storing: set[asyncio.Task[None]] = set()

    async def authenticate(self, bearer: str, *, source: str = "") -> Authenticated:
        """The owner of a key. `source`: of the request, for the audit log.

        Raises:
            BadCredentials: a key that is wrong, unknown, revoked or expired.
            PolicyDenied: a good key of a suspended tenant.
            Overloaded: too many guesses at a key with a slow hash.
            StorageLost: PostgreSQL does not answer, and the key or its account is not known.
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
            if isinstance(error, BadCredentials):
                self._hot.pop(self._digest(bearer), None)  # from now on it costs as little as any wrong key
            self._audit_refusal(principal, bearer, source, error.code or "")
            raise
        if self._trail is not None:
            self._trail.add(principal.tenant_id, "auth.accepted", actor=principal.key_id)
        return Authenticated(principal, account)

    async def _principal_of(self, bearer: str) -> Principal | None:
        text = _bytes(bearer)
        # Every configured key is compared, in constant time: the duration reveals nothing about a guess.
        matches = [hmac.compare_digest(text, key) for key in self._static]
        if any(matches):
            return Principal(DEFAULT_TENANT, f"key_env_{matches.index(True) + 1}")
        if not bearer.startswith(LEAD):
            return Principal(DEFAULT_TENANT, "key_none") if self._is_open else None
        read = read_key(bearer)
        if read is None or self._lookup is None:
            return None
        digest = self._digest(bearer)
        if (hot := self._hot_key(digest)) is not None:
            return hot.principal
        now_s = self._clock.monotonic_s()
        if now_s < self._wrong.get(digest, now_s):
            return None
        check = self._running_checks.get(digest)
        if check is None:
            check = asyncio.create_task(self._check(self._lookup, digest, *read), name="key check")
            self._running_checks[digest] = check
            check.add_done_callback(lambda done: self._checked(digest, done))
        return await asyncio.shield(check)  # several callers may wait for it; one that leaves must not cancel it

    def _hot_key(self, digest: bytes) -> _HotKey | None:
        hot, now_s = self._hot.get(digest), self._clock.monotonic_s()
        if hot is None or now_s >= hot.used_s + HOT_S or (hot.expires_at is not None and self._now() >= hot.expires_at):
            return None
        hot.used_s = now_s
        self._hot.move_to_end(digest)
        return hot

    async def _check(self, lookup: KeyLookup, digest: bytes, prefix: str, secret: str) -> Principal | None:
        stored = await lookup.find(prefix)
        is_right = await self._is_right(prefix, secret, stored)
        now_s = self._clock.monotonic_s()
        if stored is None or not is_right or not stored.is_good(self._now()):
            self._wrong[digest] = now_s + WRONG_S
            if len(self._wrong) > MAX_WRONG:
                self._wrong.popitem(last=False)
            return None
        principal = Principal(stored.tenant_id, key_id(prefix), stored.scopes)
        self._hot[digest] = _HotKey(principal, now_s, stored.expires_at)
        if len(self._hot) > MAX_HOT:
            self._hot.popitem(last=False)
        return principal

    async def _is_right(self, prefix: str, secret: str, stored: StoredKey | None) -> bool:
        secret_hash = self._dummy_hash if stored is None else stored.secret_hash
        if stored is None or is_fast(secret_hash):
            return is_secret(prefix, secret, secret_hash)
        is_right = await self._slow_hashes.is_secret(prefix, secret, secret_hash)
        if is_right:
            storing = asyncio.create_task(self._store_fast_hash(stored.tenant_id, prefix, secret), name="key hash")
            self._storing.add(storing)
            storing.add_done_callback(self._storing.discard)
        return is_right

    async def _store_fast_hash(self, tenant_id: str, prefix: str, secret: str) -> None:
        if self._keys is None:
            return
        try:
            await self._keys.store_fast_hash(tenant_id, prefix, hash_of(prefix, secret))
        except InfrastructureError as error:  # the next process that checks this key tries again
            log.warning("a key keeps its slow hash for now", key_id=key_id(prefix), error=error.message)

    def _checked(self, digest: bytes, check: asyncio.Task[Principal | None]) -> None:
        self._running_checks.pop(digest, None)
        if not check.cancelled():
            check.exception()  # retrieved, even when no caller waits any more

    async def close(self) -> None:
        """Cancel the checks that no caller waits for any more."""
        waiting = [*self._running_checks.values(), *self._storing]
        for check in waiting:
            check.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if self._lookup is not None:
            await self._lookup.close()

    def _digest(self, bearer: str) -> bytes:
        return hashlib.blake2b(_bytes(bearer), key=self._pepper, digest_size=32).digest()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall_s(), UTC)

    def _audit_refusal(self, principal: Principal | None, bearer: str, source: str, reason: str) -> None:
        if self._trail is None:
            return
        if principal is not None:
            self._trail.add(principal.tenant_id, "auth.refused", actor=principal.key_id, reason=reason)
            return
        read = read_key(bearer)
        actor = "unknown" if read is None else key_id(read[0])
        self._trail.add_refusal("auth.refused", actor=actor, source=source, reason=reason)


def _bytes(bearer: str) -> bytes:
    return bearer.encode("utf-8", "surrogatepass")
