"""Credentials of a request → who it is, what its account allows, and what its session begins with.

Authentication is by API key or ephemeral secret; authorization is the policy's.
"""

import msgspec

from agentvoicebox.errors import Refused
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.ports.policy import Action
from agentvoicebox.tenancy.account_status_cache import AccountStatusCache
from agentvoicebox.tenancy.api_keys import AccountStatus
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.client_secrets import LEAD, ClientSecrets, RedeemedSecret
from agentvoicebox.tenancy.principal import Principal, Right

_ACTION_OF: dict[Right, Action] = {
    "realtime": "session.connect",
    "client_secrets": "client_secret.create",
    "admin": "admin.tenant.read",
}


class Credential(msgspec.Struct, frozen=True):
    """Credentials that were accepted.

    Attributes:
        account: the status of the tenant and key, asked once per request.
        secret: the ephemeral secret that the request showed; None with a key.
    """

    principal: Principal
    account: AccountStatus = AccountStatus()
    secret: RedeemedSecret | None = None


class CredentialResolver:
    """Resolves keys and ephemeral secrets, which differ by their prefix.

    Args:
        authenticator: for keys.
        secrets: for `ek_…`.
        accounts: the status of the tenant and key behind a secret; None where there is no PostgreSQL.
        trail: where attempts with secrets are recorded; attempts with keys are recorded by the authenticator.
        decisions: the policy; None: the shipped rules, which follow the keys' scopes.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        secrets: ClientSecrets,
        accounts: AccountStatusCache | None = None,
        trail: AuditTrail | None = None,
        decisions: Decisions | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._secrets = secrets
        self._accounts = accounts
        self._trail = trail
        self._decisions = decisions or Decisions(EmbeddedPolicy(), trail)

    async def resolve(
        self,
        bearer: str,
        *,
        right: Right = "realtime",
        session_id: str = "",
        action: Action | None = None,
        resource_id: str = "",
        source: str = "",
    ) -> Credential:
        """Authenticate and authorize a request.

        Args:
            bearer: the key or secret.
            right: what it wants to do.
            session_id: the session it wants to resume; empty for a new one.
            action: for the policy, when it does not follow from the right.
            resource_id: of what it wants; see `ports.policy.Action`.
            source: of the request, for the audit log.

        Raises:
            BadCredentials, PolicyDenied, Overloaded: refused, each with its close code.
            BrokerLost, StorageLost, PolicyLost: this can't be decided now.
        """
        if action is None:
            action = "session.resume" if session_id and right == "realtime" else _ACTION_OF[right]
        resource = session_id or resource_id
        if bearer.startswith(LEAD):
            return await self._resolve_secret(bearer, session_id, action, resource, source)
        known = await self._authenticator.authenticate(bearer, source=source)
        await self._decisions.require(known.principal, action, resource_id=resource)
        return Credential(known.principal, known.account)

    async def _resolve_secret(
        self, bearer: str, session_id: str, action: Action, resource: str, source: str
    ) -> Credential:
        principal, account = None, AccountStatus()
        try:
            secret = await self._secrets.redeem(bearer, session_id=session_id)
            principal = secret.principal
            if self._accounts is not None:
                account = await self._accounts.require_active(principal)
            await self._decisions.require(principal, action, resource_id=resource)
        except Refused as error:
            self._record_refusal(principal, session_id, source, error.code or "")
            raise
        if self._trail is not None:
            self._trail.add(principal.tenant_id, "secret.accepted", actor=principal.key_id, subject=session_id)
        return Credential(principal, account, secret)

    def _record_refusal(self, principal: Principal | None, session_id: str, source: str, reason: str) -> None:
        if self._trail is None:
            return
        if principal is None:
            self._trail.add_refusal("secret.refused", actor="unknown", source=source, reason=reason)
            return
        actor = principal.key_id
        self._trail.add(principal.tenant_id, "secret.refused", actor=actor, subject=session_id, reason=reason)
