"""Who may do what. Adapters: a Rego engine in this process, and an OPA server; both evaluate the same rules.

Decides the question's form, which is the `input` of the rules. Leaves remembering and writing down of answers to
`policy.decisions`.
"""

from typing import Any, Literal, Protocol

import msgspec

Action = Literal[
    "session.connect",
    "session.open",
    "session.resume",
    "session.read",
    "model.list",
    "tool.call",
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
    "admin.gate.read",
]
"""Everything that is asked about. Whoever connects asks for `session.connect` and then, once it is known whom he wants, for
`session.open` of that agent. `session.resume` names the session as its resource, `session.read` one of them or none, `tool.call`
the tool, `admin.…` the tenant, the project or the key."""


class Question(msgspec.Struct, frozen=True):
    """May this key do that to this?

    Attributes:
        tenant_id, key_id, scopes: of the principal who asks.
        resource_tenant_id: whose the resource is.
        resource_id: which it is; empty where there is none.
    """

    tenant_id: str
    key_id: str
    scopes: tuple[str, ...]
    action: Action
    resource_tenant_id: str
    resource_id: str = ""

    def to_input(self) -> dict[str, Any]:
        """As the rules read it."""
        return {
            "tenant": self.tenant_id,
            "key": self.key_id,
            "scopes": list(self.scopes),
            "action": self.action,
            "resource": {"tenant": self.resource_tenant_id, "id": self.resource_id},
        }


class Decision(msgspec.Struct, frozen=True):
    """The answer.

    Attributes:
        reason: which rule allowed it, or why it is refused; a sentence without its full stop, for the caller and the audit log.
    """

    allow: bool
    reason: str


class Policy(Protocol):
    """Answers by the rules. Without an answer there is no leave: whoever asks must take PolicyLost for a no."""

    @property
    def version(self) -> str:
        """Of the rules that gave the latest answer; another one makes all earlier answers void."""

    async def decide(self, question: Question) -> Decision:
        """The answer.

        Raises:
            PolicyLost: the rules can't be asked, took too long, or answered nonsense.
        """

    async def close(self) -> None:
        """Let go of threads and connections. Idempotent."""
