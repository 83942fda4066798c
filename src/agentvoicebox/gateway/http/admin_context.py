"""Who may do what in the administration, and how it is audited."""

from datetime import UTC, date, datetime, timedelta

from fastapi import Request

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import PolicyDenied
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.ports.policy import Action
from agentvoicebox.storage.audit import AuditEntry, new_entry
from agentvoicebox.tenancy.api_keys import UnknownKey
from agentvoicebox.tenancy.principal import TENANT_ID, Principal


class AdminContext:
    """Authorization and audit entries of administrative requests.

    Args:
        decisions: the policy.
    """

    def __init__(self, decisions: Decisions, *, clock: Clock | None = None) -> None:
        self._decisions = decisions
        self._clock = clock or SystemClock()

    async def require(self, request: Request, action: Action, tenant_id: str, resource_id: str = "") -> None:
        """Raise unless the policy allows the action.

        Raises:
            UnknownKey: it belongs to another tenant, and this key may not know whether it exists.
            PolicyDenied: the key may not do this to its own tenant. PolicyLost.
        """
        principal: Principal = request.state.principal
        if not TENANT_ID.fullmatch(tenant_id):
            raise UnknownKey(f"There is no tenant {tenant_id[:64]!r}.", code="tenant_not_found")
        try:
            await self._decisions.require(principal, action, resource_id=resource_id, tenant_id=tenant_id)
        except PolicyDenied as error:
            if tenant_id == principal.tenant_id or action == "admin.tenant.create":
                raise
            raise UnknownKey(f"There is no tenant {tenant_id}.", code="tenant_not_found") from error

    def audit_entry(self, request: Request, action: str, subject: str, **details: object) -> AuditEntry:
        """The audit entry of a change. It also names the caller's tenant, because an operator changes other tenants."""
        principal: Principal = request.state.principal
        return new_entry(
            self._clock.wall_s(), principal.key_id, action, subject, body={"by_tenant": principal.tenant_id, **details}
        )

    def today(self) -> date:
        """The day (UTC)."""
        return datetime.fromtimestamp(self._clock.wall_s(), UTC).date()

    def in_s(self, seconds: int | None) -> datetime | None:
        """The time `seconds` from now; None for None."""
        if seconds is None:
            return None
        return datetime.fromtimestamp(self._clock.wall_s(), UTC) + timedelta(seconds=seconds)
