"""Who may come in at this gateway: everybody who wants anything of it shows a key here first, before any state exists.

Follows realtime-protocol §1.2. Decides that a key-less server is for this machine's own pages alone, and that whoever comes in
has asked for one request. Whose key it is, is the door's; whom the caller wants, `handshake`'s; how much there is, `quota`'s.
"""

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from agentvoicebox.broker.connection import Connection
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import PolicyDenied, RateLimited, Refused
from agentvoicebox.gateway.handshake import key_in
from agentvoicebox.gateway.quota import Figures, Quota
from agentvoicebox.limits.redis import Limits
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.ports.policy import Action, Policy
from agentvoicebox.sessions.counts import Full, SessionCounts
from agentvoicebox.settings import is_loopback
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.telemetry.metrics import Metrics
from agentvoicebox.tenancy import client_secrets, key_format
from agentvoicebox.tenancy.api_keys import ApiKeys, Standing
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.client_secrets import ClientSecrets
from agentvoicebox.tenancy.door import Admitted, Door
from agentvoicebox.tenancy.key_format import prefix_of
from agentvoicebox.tenancy.principal import Principal, Right
from agentvoicebox.tenancy.standings import ASK_EVERY_S, Standings

ANYTHING = Figures()
LEADS = (key_format.LEAD, client_secrets.LEAD)


class NoCredentials(Refused):
    """No key at all. OpenAI gives this refusal no code."""

    close_code = 3000


class Reception:
    """The gate of one gateway. Run `run` while callers are taken, and `close` it in the end.

    Args:
        connection: the line to the store (`RedisBroker.connection`), where ephemeral secrets are.
        postgres: where the tenants' keys and the audit log are; it may be away, then configured keys and secrets of those
            still open the door. None: there are configured keys alone.
        metrics: of this gateway.
        keys: the configured ones; without any, nobody needs a key, which settings allow on loopback only.
        figures: how much the deployment allows; by default anything.
        gateways: that share the limits; while the store is away, this one keeps to its part of them.
        policy: what a good key may do; by default the rules that are shipped decide.
        ask_every_s: how often an open session asks whether it may go on.
    """

    def __init__(
        self,
        connection: Connection,
        postgres: Postgres | None,
        *,
        metrics: Metrics,
        keys: Sequence[str] = (),
        figures: Figures = ANYTHING,
        gateways: int = 1,
        policy: Policy | None = None,
        ask_every_s: float = ASK_EVERY_S,
        clock: Clock | None = None,
    ) -> None:
        self.is_open = not keys
        self.ask_every_s = ask_every_s
        self.secrets = ClientSecrets(connection, clock=clock)
        self._api_keys = None if postgres is None else ApiKeys(postgres, clock=clock)
        self._standings = None if self._api_keys is None else Standings(self._api_keys, clock=clock)
        self._trail = None if postgres is None else AuditTrail(postgres, clock=clock)
        self._authenticator = Authenticator(
            self._api_keys, self._standings, self._trail, static_keys=keys, is_open=self.is_open, clock=clock
        )
        self.decisions = Decisions(policy or EmbeddedPolicy(), self._trail, clock=clock)
        self._door = Door(self._authenticator, self.secrets, self._standings, self._trail, self.decisions)
        self.counts = SessionCounts(connection)
        self._limits = Limits(connection, peers=gateways, on_local=metrics.limited_locally)
        self._figures = figures
        self._metrics = metrics
        self._clock = clock or SystemClock()

    async def run(self, stop: asyncio.Event) -> None:
        """Hold the places of open sessions, and write the audit log, until `stop`."""
        keeping = [self.counts.run(stop)]
        if self._trail is not None:
            keeping.append(self._trail.run(stop))
        await asyncio.gather(*keeping)

    async def close(self) -> None:
        """End checks that nobody waits for any more."""
        await self._authenticator.close()
        await self.decisions.close()

    async def receive(
        self,
        headers: Mapping[str, str],
        subprotocols: Sequence[str] = (),
        *,
        right: Right = "realtime",
        session_id: str = "",
        action: Action | None = None,
        resource_id: str = "",
    ) -> Admitted:
        """Let a request in. Header names are lower case.

        Args:
            headers: of the request.
            subprotocols: that it offers; a browser's carry its key.
            right: what it wants to do.
            session_id: the session it wants to go on with; empty for a new one.
            action: what the policy is asked, if that is not what follows from the right.
            resource_id: of what it wants; see `ports.policy.Action`.

        Raises:
            NoCredentials, BadCredentials, PolicyDenied, Overloaded, RateLimited: refused, each with its close code.
            BrokerLost, StorageLost, PolicyLost: it can't be told now.
        """
        key = key_in(headers, subprotocols)
        if not self.is_open and key is None:
            raise NoCredentials("Missing bearer authentication in header.")
        if self.is_open and not (key or "").startswith(LEADS):
            # A page of any web site could call a server on its visitor's own machine.
            origin = urlsplit(headers.get("origin", "")).hostname
            if origin is not None and not is_loopback(origin):
                raise PolicyDenied(
                    f"Pages of {origin} may not call this server without a key.", code="origin_not_allowed"
                )
        admitted = await self._door.admit(
            key or "", right=right, session_id=session_id, action=action, resource_id=resource_id
        )
        await (await self.quota(admitted.principal)).take()
        return admitted

    async def seat(self, session: SessionRef, principal: Principal, *, is_new: bool) -> None:
        """Take a place for an open session; `is_new` is False for one that goes on, which is never refused.

        Raises:
            RateLimited: the tenant or the key has as many as it may; and as `standing`.
        """
        figures, own = self._figures, (await self.standing(principal)).limits.sessions
        tenant_limit = figures.tenant_sessions if own is None else own
        seated = await self.counts.reserve(
            session,
            principal.key_id,
            tenant_limit=tenant_limit if is_new else None,
            key_limit=figures.key_sessions if is_new else None,
        )
        if isinstance(seated, Full):
            self._metrics.limited(f"{seated.whose}.sessions")
            message = f"Limit {seated.whose}.sessions is reached: {seated.limit} are open."
            raise RateLimited(
                f"{message} Please try again in {seated.retry_after_s:.1f} s.", retry_after_s=seated.retry_after_s
            )

    async def quota(self, principal: Principal) -> Quota:
        """How much somebody who was let in may ask for. Raises as `standing`."""
        standing = await self.standing(principal)
        return Quota(self._limits, self._figures, principal, standing, clock=self._clock, metrics=self._metrics)

    async def standing(self, principal: Principal) -> Standing:
        """How somebody who was let in stands now.

        Raises:
            PolicyDenied, BadCredentials: it may go on no more. StorageLost: it can't be told now.
        """
        return Standing() if self._standings is None else await self._standings.require_good(principal)

    async def is_same_key(self, principal: Principal, key_id: str) -> bool:
        """Whether a session of the principal's tenant was opened with its key, or with one that was rotated to or from it.

        Raises StorageLost.
        """
        if principal.key_id == key_id:
            return True
        ours, theirs = prefix_of(principal.key_id), prefix_of(key_id)
        if self._api_keys is None or ours is None or theirs is None:
            return False
        return await self._api_keys.share_rotation(principal.tenant_id, ours, theirs)
