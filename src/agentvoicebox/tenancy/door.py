"""The door of a gateway: any credential in, a principal out, and what its session begins with. No state exists before it.

Who somebody is, the keys tell; whether he may do what he came for, the policy.
"""

from typing import Any

import msgspec

from agentvoicebox.errors import Refused
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.ports.policy import Action
from agentvoicebox.tenancy.audit_trail import GATE, AuditTrail
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.client_secrets import LEAD, ClientSecrets
from agentvoicebox.tenancy.principal import Principal, Right
from agentvoicebox.tenancy.standings import Standings

_ACTION_OF: dict[Right, Action] = {
    "realtime": "session.connect",
    "client_secrets": "client_secret.create",
    "admin": "admin.tenant.read",
}


class Admitted(msgspec.Struct, frozen=True):
    """Somebody who may come in.

    Attributes:
        session: a `session.update` body from an ephemeral secret, to be applied to the agent's session; None with a key.
    """

    principal: Principal
    session: dict[str, Any] | None = None


class Door:
    """Keys and ephemeral secrets, told apart by their form.

    Args:
        authenticator: for keys.
        secrets: for `ek_…`.
        standings: whether the tenant and key behind a secret still stand well; None where there is no PostgreSQL.
        trail: where attempts with secrets are noted; attempts with keys are the authenticator's.
        decisions: the policy; None: the rules that are shipped, which go by the keys' scopes.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        secrets: ClientSecrets,
        standings: Standings | None = None,
        trail: AuditTrail | None = None,
        decisions: Decisions | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._secrets = secrets
        self._standings = standings
        self._trail = trail
        self.decisions = decisions or Decisions(EmbeddedPolicy(), trail)

    async def admit(
        self,
        bearer: str,
        *,
        right: Right = "realtime",
        session_id: str = "",
        action: Action | None = None,
        resource_id: str = "",
    ) -> Admitted:
        """Let somebody in.

        Args:
            bearer: what the request carries.
            right: what it wants to do.
            session_id: the session it wants to go on with; empty for a new one.
            action: what the policy is asked, if that is not what follows from the right.
            resource_id: whom or what it wants it of; see `ports.policy.Action`.

        Raises:
            BadCredentials, PolicyDenied, Overloaded: refused, each with its close code.
            BrokerLost, StorageLost, PolicyLost: it can't be told now.
        """
        if action is None:
            action = "session.resume" if session_id and right == "realtime" else _ACTION_OF[right]
        asked = session_id or resource_id
        if not bearer.startswith(LEAD):
            principal = await self._authenticator.authenticate(bearer)
            await self.decisions.require(principal, action, resource_id=asked)
            return Admitted(principal)
        tenant_id, actor = GATE, "unknown"
        try:
            principal, session = await self._secrets.redeem(bearer, session_id=session_id)
            tenant_id, actor = principal.tenant_id, principal.key_id
            if self._standings is not None:
                await self._standings.require_good(principal)
            await self.decisions.require(principal, action, resource_id=asked)
        except Refused as error:
            self._note(tenant_id, "secret.refused", actor, session_id, error.code or "")
            raise
        self._note(tenant_id, "secret.accepted", actor, session_id, "")
        return Admitted(principal, session)

    def _note(self, tenant_id: str, action: str, actor: str, session_id: str, reason: str) -> None:
        if self._trail is not None:
            self._trail.add(tenant_id, action, actor=actor, subject=session_id, reason=reason)
