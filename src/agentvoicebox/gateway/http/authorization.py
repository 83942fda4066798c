"""Who may use a REST route. A browser's ephemeral secret opens sessions only."""

import msgspec
from fastapi import Request

from agentvoicebox.errors import PolicyDenied
from agentvoicebox.gateway.admission.admission_control import Authorization
from agentvoicebox.gateway.admission.handshake import subprotocols_in
from agentvoicebox.gateway.http.source import source_of_connection
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.http_server.admit import admit
from agentvoicebox.ports.policy import Action
from agentvoicebox.tenancy.principal import RIGHTS, Principal, Right


async def authorize(
    state: GatewayState,
    request: Request,
    right: Right = "realtime",
    *,
    action: Action | None = None,
    resource_id: str = "",
    takes_secrets: bool = False,
) -> Authorization:
    """The owner of a request's key, and what it may use; one request is taken from its limits.

    A tenant that asks too often waits here. `takes_secrets`: whether a browser's secret will do.
    Raises as `AdmissionControl.authorize`, and RateLimited.
    """
    source = source_of_connection(state, request)
    # With the subprotocols, where a browser shows its key at the socket: a key there lets a request pass `LocalOnly`.
    headers, shown = request.headers, subprotocols_in(request.headers)
    authorization = await state.admission.authorize(
        headers, shown, right=right, action=action, resource_id=resource_id, source=source
    )
    if authorization.secret is not None and not takes_secrets:
        raise PolicyDenied("A client secret opens sessions only; show an API key.", code="insufficient_permissions")
    admit(request.scope)
    await state.tenant_pace.wait(authorization.principal.tenant_id)
    return authorization


async def principal_of(
    state: GatewayState,
    request: Request,
    right: Right = "realtime",
    *,
    action: Action | None = None,
    resource_id: str = "",
) -> Principal:
    """The owner of a request's key. As `authorize`."""
    return (await authorize(state, request, right, action=action, resource_id=resource_id)).principal


async def watcher_of(state: GatewayState, request: Request) -> Principal:
    """Who may watch the deployment, if the policy agrees: the owner of an admin key.

    Without configured keys a server is for this machine alone (`http_server.local_only`): there, a request needs no key.
    Raises as `AdmissionControl.authorize`.
    """
    headers = request.headers
    if not state.admission.is_open or state.admission.shows_key(headers, subprotocols_in(headers)):
        return await principal_of(state, request, "admin")
    return msgspec.structs.replace(await principal_of(state, request, action="model.list"), scopes=RIGHTS)
