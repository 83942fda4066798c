"""Authorization. Adapters: a Rego engine in this process, and an OPA server; both evaluate the same rules.

Defines the form of a request, which is the `input` of the rules. Caching and auditing of decisions are in
`policy.decisions`.
"""

from typing import Any, Literal, Protocol

import msgspec

from agentvoicebox.resilience.breaker import BreakerState

Action = Literal[
    "session.connect",
    "session.open",
    "session.resume",
    "session.read",
    "model.list",
    "tool.call",
    "audio.speech",
    "audio.transcription",
    "client_secret.create",
    "admin.tenant.list",
    "admin.tenant.create",
    "admin.tenant.read",
    "admin.tenant.change",
    "admin.project.read",
    "admin.project.create",
    "admin.key.read",
    "admin.key.create",
    "admin.key.rotate",
    "admin.key.revoke",
    "admin.audit.read",
    "admin.usage.read",
    "admin.event.read",
    "admin.event.change",
    "admin.gate.read",
    "admin.status.read",
]
"""All actions. A connecting caller needs `session.connect` and then, once the agent is known, `session.open` for that
agent. `session.resume` names the session as its resource, or the call by WebRTC (`rtc_…`) that the caller joins or hangs up;
`session.read` a session or nothing, `tool.call` the tool, `admin.…` the tenant, the project, the key or the destination of
events."""


class PolicyRequest(msgspec.Struct, frozen=True):
    """May this key perform this action on this resource?

    Attributes:
        tenant_id, key_id, scopes: of the requesting principal.
        resource_tenant_id: the tenant that owns the resource.
        resource_id: the resource's id; empty where there is none.
    """

    tenant_id: str
    key_id: str
    scopes: tuple[str, ...]
    action: Action
    resource_tenant_id: str
    resource_id: str = ""

    def to_input(self) -> dict[str, Any]:
        """The request as the rules read it."""
        return {
            "tenant": self.tenant_id,
            "key": self.key_id,
            "scopes": list(self.scopes),
            "action": self.action,
            "resource": {"tenant": self.resource_tenant_id, "id": self.resource_id},
        }


class Decision(msgspec.Struct, frozen=True):
    """The answer to a policy request.

    Attributes:
        reason: the rule that allowed it, or why it is refused; a sentence without full stop, for caller and audit log.
    """

    allow: bool
    reason: str


class Policy(Protocol):
    """Answers by the rules. Callers must treat PolicyLost as a refusal."""

    @property
    def version(self) -> str:
        """Version of the rules that gave the latest answer; a new version invalidates all earlier answers."""

    @property
    def breaker(self) -> BreakerState | None:
        """State of the breaker in front of a server that evaluates the rules; None where there is no server."""

    async def decide(self, request: PolicyRequest) -> Decision:
        """Decide one request.

        Raises:
            PolicyLost: the rules can't be evaluated, took too long, or gave an invalid answer.
        """

    async def close(self) -> None:
        """Release threads and connections. Idempotent."""
