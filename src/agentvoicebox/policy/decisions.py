"""The policy as gateways and workers use it: cached for some seconds, audited, and refusing when there is no decision.

A cached decision is used until it is `CACHE_FOR_S` old or the rules' version changes. Every refusal is in the audit log,
and every permission once for each evaluation of the rules; admission itself is audited by the credential check.
"""

from collections import OrderedDict

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import PolicyDenied, PolicyLost
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.policy.opa import OpaPolicy
from agentvoicebox.ports.policy import Action, Decision, Policy, PolicyRequest
from agentvoicebox.resilience.breaker import BreakerState
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.principal import Principal

POLICY_SERVER = "policy_server"
CACHE_FOR_S = 5.0
MOST_KEPT = 10_000
MOST_ID = 256  # characters


class _CachedDecision(msgspec.Struct, frozen=True):
    decision: Decision
    version: str
    until_s: float


class Decisions:
    """Decides, caches and audits. One per process.

    Args:
        policy: evaluates requests.
        trail: receives decisions; None writes nothing.
    """

    def __init__(self, policy: Policy, trail: AuditTrail | None = None, *, clock: Clock | None = None) -> None:
        self._policy = policy
        self._trail = trail
        self._clock = clock or SystemClock()
        self._cache: OrderedDict[PolicyRequest, _CachedDecision] = OrderedDict()

    @property
    def breaker(self) -> BreakerState | None:
        """See ports.policy."""
        return self._policy.breaker

    def breakers(self) -> dict[str, BreakerState]:
        """The same by name, for metrics; nothing where there is no server."""
        return {} if self.breaker is None else {POLICY_SERVER: self.breaker}

    async def require(
        self, principal: Principal, action: Action, *, resource_id: str = "", tenant_id: str | None = None
    ) -> None:
        """Continue only if the policy allows it.

        Args:
            principal: who requests.
            action: the action.
            resource_id: of the agent, tool, session, …; see `Action`.
            tenant_id: the tenant that owns the resource; None: the principal's own.

        Raises:
            PolicyDenied: it is refused. PolicyLost: there is no decision, so it is refused.
        """
        decision = await self.decide(principal, action, resource_id=resource_id, tenant_id=tenant_id)
        if not decision.allow:
            raise PolicyDenied(f"This is not allowed: {decision.reason}.", code="insufficient_permissions")

    async def decide(
        self, principal: Principal, action: Action, *, resource_id: str = "", tenant_id: str | None = None
    ) -> Decision:
        """The same as a decision.

        Raises:
            PolicyLost: there is none.
        """
        owner = principal.tenant_id if tenant_id is None else tenant_id
        question = PolicyRequest(principal.tenant_id, principal.key_id, principal.scopes, action, owner, resource_id)
        if len(resource_id) > MOST_ID or not resource_id.isprintable():  # a NUL would end the text in the engine
            return self._audited(question, Decision(False, "no resource can have this id"))
        now_s = self._clock.monotonic_s()
        kept = self._cache.get(question)
        if kept is not None and now_s < kept.until_s and kept.version == self._policy.version:
            self._cache.move_to_end(question)
            return kept.decision if kept.decision.allow else self._audited(question, kept.decision)
        try:
            decision = await self._policy.decide(question)
        except PolicyLost as error:
            self._audit(question, "policy.unanswered", error.code or "")
            raise
        self._cache[question] = _CachedDecision(decision, self._policy.version, now_s + CACHE_FOR_S)
        self._cache.move_to_end(question)
        if len(self._cache) > MOST_KEPT:
            self._cache.popitem(last=False)
        return self._audited(question, decision)

    async def close(self) -> None:
        """Release the policy."""
        await self._policy.close()

    def _audited(self, question: PolicyRequest, decision: Decision) -> Decision:
        self._audit(question, "policy.allowed" if decision.allow else "policy.denied", decision.reason)
        return decision

    def _audit(self, question: PolicyRequest, action: str, reason: str) -> None:
        if self._trail is None:
            return
        about = question.resource_id if question.resource_id.isprintable() else ""
        subject = f"{question.action} {about[:MOST_ID]}".rstrip()
        if question.resource_tenant_id != question.tenant_id:
            subject += f" of {question.resource_tenant_id[:MOST_ID]}"
        self._trail.add(question.tenant_id, action, actor=question.key_id, subject=subject, reason=reason)


def open_policy(*, folder: str = "", opa_url: str = "", opa_token: str = "") -> Policy:
    """The policy of a deployment (AVB_POLICY_DIR, AVB_OPA_URL, AVB_OPA_TOKEN); without any of them the shipped rules.

    Raises:
        SettingsError: the rules are invalid.
    """
    return OpaPolicy(opa_url, token=opa_token) if opa_url else EmbeddedPolicy(folder)
