"""The policy as the doors ask it: remembered for some seconds, written down, and a no wherever there is no answer.

A remembered answer serves until it is `KEEP_S` old or the rules are found to be others. Every refusal stands in the audit log,
and every leave once for each time that the rules were asked; that somebody came in at all is the door's entry.
"""

from collections import OrderedDict

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import PolicyDenied, PolicyLost
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.policy.opa import OpaPolicy
from agentvoicebox.ports.policy import Action, Decision, Policy, Question
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.principal import Principal

KEEP_S = 5.0
MOST_KEPT = 10_000
MOST_ID = 256  # characters


class _Kept(msgspec.Struct, frozen=True):
    decision: Decision
    version: str
    until_s: float


class Decisions:
    """Asks and remembers. One a process.

    Args:
        policy: whom to ask.
        trail: where decisions are noted; None writes nothing.
    """

    def __init__(self, policy: Policy, trail: AuditTrail | None = None, *, clock: Clock | None = None) -> None:
        self._policy = policy
        self._trail = trail
        self._clock = clock or SystemClock()
        self._kept: OrderedDict[Question, _Kept] = OrderedDict()

    async def require(
        self, principal: Principal, action: Action, *, resource_id: str = "", tenant_id: str | None = None
    ) -> None:
        """Go on only if the policy allows it.

        Args:
            principal: who asks.
            action: for what.
            resource_id: of the agent, tool, session, …; see `Action`.
            tenant_id: whose the resource is; None: the principal's own.

        Raises:
            PolicyDenied: it says no. PolicyLost: it does not say, so: no.
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
        question = Question(principal.tenant_id, principal.key_id, principal.scopes, action, owner, resource_id)
        if len(resource_id) > MOST_ID or not resource_id.isprintable():  # a NUL would end the text for the engine
            return self._told(question, Decision(False, "nothing can be called so"))
        now_s = self._clock.monotonic_s()
        kept = self._kept.get(question)
        if kept is not None and now_s < kept.until_s and kept.version == self._policy.version:
            self._kept.move_to_end(question)
            return kept.decision if kept.decision.allow else self._told(question, kept.decision)
        try:
            decision = await self._policy.decide(question)
        except PolicyLost as error:
            self._note(question, "policy.unanswered", error.code or "")
            raise
        self._kept[question] = _Kept(decision, self._policy.version, now_s + KEEP_S)
        self._kept.move_to_end(question)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return self._told(question, decision)

    async def close(self) -> None:
        """Let go of the policy."""
        await self._policy.close()

    def _told(self, question: Question, decision: Decision) -> Decision:
        self._note(question, "policy.allowed" if decision.allow else "policy.denied", decision.reason)
        return decision

    def _note(self, question: Question, action: str, reason: str) -> None:
        if self._trail is None:
            return
        about = question.resource_id if question.resource_id.isprintable() else ""
        subject = f"{question.action} {about[:MOST_ID]}".rstrip()
        if question.resource_tenant_id != question.tenant_id:
            subject += f" of {question.resource_tenant_id[:MOST_ID]}"
        self._trail.note(question.tenant_id, action, actor=question.key_id, subject=subject, reason=reason)


def open_policy(*, folder: str = "", opa_url: str = "", opa_token: str = "") -> Policy:
    """The policy of a deployment (AVB_POLICY_DIR, AVB_OPA_URL, AVB_OPA_TOKEN); without any of them the shipped rules.

    Raises:
        SettingsError: the rules are at fault.
    """
    return OpaPolicy(opa_url, token=opa_token) if opa_url else EmbeddedPolicy(folder)
