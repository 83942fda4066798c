"""Who may use this gateway: each request shows a credential here first, before any state exists.

Follows realtime-protocol §1.2. Decides that each request takes one from the limits, and how many sessions may be open. Whose
credential it is: `credential_resolver`. What the client wants: `handshake`. How much is left: `quota`. That a server without keys
is for this machine alone: `http_server.local_only`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from agentvoicebox.broker.connection import Connection
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BadCredentials, RateLimited, Refused
from agentvoicebox.gateway.admission.credential_resolver import CredentialResolver
from agentvoicebox.gateway.admission.handshake import credential_in
from agentvoicebox.gateway.admission.limit_config import LimitConfig
from agentvoicebox.gateway.admission.quota import Quota
from agentvoicebox.limits.allowance import LimitResult, Scope
from agentvoicebox.limits.redis import Limits
from agentvoicebox.limits.wrong_credentials import WrongCredentials
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.ports.policy import Action, Policy
from agentvoicebox.request_source import source_of
from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox.sessions.counts import AtCapacity, Reserved, SecretLimit, SessionCounts
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.tenancy import client_secrets, key_format
from agentvoicebox.tenancy.account_status_cache import ASK_EVERY_S, AccountStatusCache
from agentvoicebox.tenancy.api_keys import AccountStatus, ApiKeys
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.client_secrets import ClientSecrets, RedeemedSecret
from agentvoicebox.tenancy.key_format import prefix_of
from agentvoicebox.tenancy.last_answers import POSTGRES_WAIT_S, LastAnswers
from agentvoicebox.tenancy.principal import Principal, Right

SECRET_PAUSES_S = (0.1, 0.2, 0.3, 0.4)  # between tries for a slot of a secret
LEADS = (key_format.LEAD, client_secrets.LEAD)


class NoCredentials(Refused):
    """No key at all. OpenAI gives this refusal no code."""

    close_code = 3000


class AdmissionConfig(msgspec.Struct, frozen=True):
    """What a deployment configures.

    Attributes:
        keys: configured API keys; without any, no key is needed, which settings allow on loopback only.
        limits: how much the deployment allows.
        gateways: how many share the limits; while the store is away, each keeps to its share.
        recheck_s: how often an open session checks its account.
        wait_s: how long a request waits for PostgreSQL, each time that it needs it.
        wrong_credentials: most wrong or missing credentials a minute of one source; 0: no limit.
        trusted_proxy_header: in which the operator's proxy names the sender; empty: no proxy.
    """

    keys: Sequence[str] = ()
    limits: LimitConfig = LimitConfig()
    gateways: int = 1
    recheck_s: float = ASK_EVERY_S
    wait_s: float = POSTGRES_WAIT_S
    wrong_credentials: int = 30
    trusted_proxy_header: str = ""


class Authorization(msgspec.Struct, frozen=True):
    """A request that may be served.

    Attributes:
        account: the status of its tenant and key when it arrived.
        quota: what it may use.
        secret: the ephemeral secret that it showed; None with a key.
    """

    principal: Principal
    account: AccountStatus
    quota: Quota
    secret: RedeemedSecret | None = None

    @property
    def session(self) -> dict[str, Any] | None:
        """The initial `session.update` body of the secret; None with a key."""
        return None if self.secret is None else self.secret.session


class AdmissionControl:
    """One gateway's. Run `run` while calls are taken, and `close` it at the end.

    Args:
        connection: to the store (`RedisBroker.connection`), which holds ephemeral secrets and counts.
        postgres: holds tenants' keys and the audit log. While it is away, configured keys and their secrets are still accepted.
            None: there are configured keys alone.
        metrics: of this gateway.
        config: of the deployment.
        policy: what a good key may do; by default the shipped rules decide.
    """

    def __init__(
        self,
        connection: Connection,
        postgres: Postgres | None,
        *,
        metrics: Metrics,
        config: AdmissionConfig | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
    ) -> None:
        config = config or AdmissionConfig()
        self.is_open = not config.keys
        self.recheck_s = config.recheck_s
        self.secrets = ClientSecrets(connection, clock=clock)
        self._api_keys = None if postgres is None else ApiKeys(postgres, clock=clock)
        self._accounts, self._rotations = None, None
        if self._api_keys is not None:
            self._accounts = AccountStatusCache(self._api_keys, wait_s=config.wait_s, clock=clock)
            self._rotations = LastAnswers(_share_rotation(self._api_keys), wait_s=config.wait_s, clock=clock)
        self._trail = None if postgres is None else AuditTrail(postgres, clock=clock)
        self._authenticator = Authenticator(
            self._api_keys,
            self._accounts,
            self._trail,
            static_keys=config.keys,
            is_open=self.is_open,
            wait_s=config.wait_s,
            clock=clock,
        )
        self.decisions = Decisions(policy or EmbeddedPolicy(), self._trail, clock=clock)
        self._resolver = CredentialResolver(
            self._authenticator, self.secrets, self._accounts, self._trail, self.decisions
        )
        self.counts = SessionCounts(connection)
        self._limits = Limits(connection, peers=config.gateways, on_local=metrics.limited_locally)
        self.limit_config = config.limits
        self._wrong_credentials = WrongCredentials(config.wrong_credentials, clock=clock)
        self._trusted_proxy_header = config.trusted_proxy_header
        self._waiting_secrets: set[str] = set()
        self._metrics = metrics
        self._clock = clock or SystemClock()

    async def run(self, stop: asyncio.Event) -> None:
        """Renew the places of open sessions, write the audit log, and watch the configured keys' account, until `stop`."""
        running = [self.counts.run(stop)]
        if self._trail is not None:
            running.append(self._trail.run(stop))
        if self._accounts is not None:
            running.append(self._accounts.run(stop))
        await asyncio.gather(*running)

    async def close(self) -> None:
        """Cancel checks that no request waits for any more."""
        await self._authenticator.close()
        if self._accounts is not None and self._rotations is not None:
            await self._accounts.close()
            await self._rotations.close()
        await self.decisions.close()

    def shows_key(self, headers: Mapping[str, str], subprotocols: Sequence[str] = ()) -> bool:
        """Whether a request shows a key or secret of ours, good or not.

        Only such a request may come from elsewhere to a server without configured keys.
        """
        return (credential_in(headers, subprotocols) or "").startswith(LEADS)

    def require_credential(
        self, headers: Mapping[str, str], subprotocols: Sequence[str] = (), *, source: str = ""
    ) -> None:
        """Refuse without asking anyone.

        Raises:
            NoCredentials, TooManyWrongCredentials: a key is needed, and the request shows none.
        """
        if not self.is_open and credential_in(headers, subprotocols) is None:
            self._wrong_credentials.count(source)
            raise NoCredentials("Missing bearer authentication in header.")

    def source_of(self, peer: str, headers: Mapping[str, str]) -> str:
        """The source of a request, for `authorize`. `peer`: address of its connection."""
        return source_of(peer, headers, self._trusted_proxy_header)

    async def authorize(
        self,
        headers: Mapping[str, str],
        subprotocols: Sequence[str] = (),
        *,
        right: Right = "realtime",
        session_id: str = "",
        action: Action | None = None,
        resource_id: str = "",
        source: str = "",
    ) -> Authorization:
        """Authenticate a request, authorize it, and take one request from its limits. Asks for its account once.

        Args:
            headers: of the request; names are lower case.
            subprotocols: that it offers; a browser's carry its key.
            right: what it wants to do.
            session_id: the session it wants to resume; empty for a new one.
            action: for the policy, when it does not follow from the right.
            resource_id: of what it wants; see `ports.policy.Action`.
            source: of the request, from `source_of`; its wrong credentials are counted together.

        Raises:
            NoCredentials, BadCredentials, PolicyDenied, Overloaded, RateLimited: refused, each with its close code.
            TooManyWrongCredentials: instead of the first two, when the source has shown too many.
            BrokerLost, StorageLost, PolicyLost: this can't be decided now.
        """
        self.require_credential(headers, subprotocols, source=source)
        bearer = credential_in(headers, subprotocols)
        try:
            credential = await self._resolver.resolve(
                bearer or "",
                right=right,
                session_id=session_id,
                action=action,
                resource_id=resource_id,
                source=source,
            )
        except BadCredentials:
            self._wrong_credentials.count(source)
            raise
        principal, account = credential.principal, credential.account
        quota = Quota(self._limits, self.limit_config, principal, account, clock=self._clock, metrics=self._metrics)
        await quota.take()
        return Authorization(principal, account, quota, credential.secret)

    async def reserve_session(self, session: SessionRef, authorization: Authorization, *, is_new: bool) -> None:
        """Take a place of the tenant's, the key's and the secret's open sessions.

        A resumed session has its places and is not refused; but when it lost its caller and the secret was used for a new session
        since, it can't be resumed with that secret.

        Raises:
            RateLimited: the tenant, the key or the secret has as many as it may.
        """
        config, own = self.limit_config, authorization.account.limits.sessions
        tenant_limit = config.tenant_sessions if own is None else own
        secret = authorization.secret

        async def reserve() -> Reserved | AtCapacity:
            return await self.counts.reserve(
                session,
                authorization.principal.key_id,
                tenant_limit=tenant_limit if is_new else None,
                key_limit=config.key_sessions if is_new else None,
                secret=None if secret is None else SecretLimit(secret.secret_id, secret.max_sessions),
            )

        reserved = await reserve()
        if isinstance(reserved, AtCapacity) and reserved.whose == "secret" and secret is not None:
            reserved = await self._reserve_soon(secret.secret_id, reserved, reserve)
        if isinstance(reserved, AtCapacity):
            self._metrics.limited(f"{reserved.whose}.sessions")
            raise RateLimited(_at_capacity(reserved, session.tenant_id), retry_after_s=reserved.retry_after_s)

    async def _reserve_soon(
        self, secret_id: str, reserved: Reserved | AtCapacity, reserve: Callable[[], Awaitable[Reserved | AtCapacity]]
    ) -> Reserved | AtCapacity:
        """Try for a second: a page that is loaded again may be faster than its former session's end. One caller of a secret."""
        if secret_id in self._waiting_secrets:
            return reserved
        self._waiting_secrets.add(secret_id)
        try:
            for pause_s in SECRET_PAUSES_S:
                await asyncio.sleep(pause_s)
                reserved = await reserve()
                if isinstance(reserved, Reserved):
                    break
        finally:
            self._waiting_secrets.discard(secret_id)
        return reserved

    async def used_by_all(self) -> LimitResult:
        """What all tenants together have used of their common limit; nothing is taken. Never fails."""
        return await self._limits.check([Scope("global", self.limit_config.all_tenants)], requests=0)

    def breakers(self) -> dict[str, BreakerState]:
        """The breakers in front of what requests need, by what is behind them."""
        policy = self.decisions.breaker
        return {"limits in the store": self._limits.breaker} | ({} if policy is None else {"policy server": policy})

    async def account_status(self, principal: Principal) -> AccountStatus:
        """The account of an open session, at most half a minute old.

        Raises:
            PolicyDenied, BadCredentials: it may not continue. StorageLost: this can't be decided now.
        """
        return AccountStatus() if self._accounts is None else await self._accounts.require_active(principal)

    async def is_same_key(self, principal: Principal, key_id: str) -> bool:
        """Whether `key_id` (of the principal's tenant) is the principal's key, or was rotated to or from it.

        Raises StorageLost.
        """
        if principal.key_id == key_id:
            return True
        ours, theirs = prefix_of(principal.key_id), prefix_of(key_id)
        if self._rotations is None or ours is None or theirs is None:
            return False
        return await self._rotations.of((principal.tenant_id, ours, theirs))


def _at_capacity(reserved: AtCapacity, tenant_id: str) -> str:
    """Which limit is reached, and what changes it."""
    changed_by = {
        "tenant": f"AVB_LIMIT_TENANT_SESSIONS or `agentvoicebox keys limit {tenant_id} --sessions`",
        "key": "AVB_LIMIT_KEY_SESSIONS",
        "secret": "`max_concurrent_sessions` of the request that mints the secret",
    }[reserved.whose]
    return (
        f"Limit {reserved.whose}.sessions is reached: {reserved.limit} {'is' if reserved.limit == 1 else 'are'} open. "
        f"Please try again in {reserved.retry_after_s:.1f} s. The limit is set by {changed_by}."
    )


def _share_rotation(keys: ApiKeys) -> Callable[[tuple[str, str, str]], Awaitable[bool]]:
    async def ask(question: tuple[str, str, str]) -> bool:
        return await keys.share_rotation(*question)

    return ask
