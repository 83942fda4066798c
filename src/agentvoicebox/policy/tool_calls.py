"""May this tool be called? Used by both that run tools: the worker for spoken calls, and the webhook for platforms and REST.

The caller was authorized when the session was opened; here the policy decides whether the tenant may call this tool.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agentvoicebox.errors import PolicyDenied, PolicyLost
from agentvoicebox.policy.decisions import Decisions, open_policy
from agentvoicebox.settings import Settings
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.principal import Principal, Right
from agentvoicebox.tools.definition import NOT_ALLOWED, TOOL_UNAVAILABLE, Outcome, failure

SCOPES: tuple[Right, ...] = ("realtime",)


async def refusal(decisions: Decisions | None, tenant_id: str, actor: str, name: str) -> Outcome | None:
    """The outcome of a refused call; None when it is allowed.

    Args:
        decisions: the policy; None allows everything.
        tenant_id: the tenant of the call.
        actor: the session's id, or a component's name; recorded in the audit log.
        name: of the tool.
    """
    if decisions is None:
        return None
    try:
        await decisions.require(Principal(tenant_id, actor, SCOPES), "tool.call", resource_id=name)
    except PolicyDenied:
        return failure(NOT_ALLOWED, tool=name[:64])
    except PolicyLost:
        return failure(TOOL_UNAVAILABLE, tool=name[:64])
    return None


@asynccontextmanager
async def deciding(settings: Settings) -> AsyncIterator[Decisions]:
    """The policy of the settings, and its audit log, for the duration of the block.

    Raises:
        SettingsError: the rules are invalid.
    """
    policy = open_policy(folder=settings.policy_dir, opa_url=settings.opa_url, opa_token=settings.opa_token)
    postgres = await Postgres.open(settings.postgres_url, most_connections=1)
    trail, stop = AuditTrail(postgres), asyncio.Event()
    writing = asyncio.create_task(trail.run(stop), name="audit trail")
    try:
        yield Decisions(policy, trail)
    finally:
        stop.set()
        await asyncio.gather(writing, return_exceptions=True)
        await policy.close()
        await postgres.close()
