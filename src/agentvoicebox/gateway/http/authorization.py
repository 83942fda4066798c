"""Who may use a REST route. A browser's ephemeral secret opens sessions only."""

from fastapi import Request

from agentvoicebox.errors import PolicyDenied
from agentvoicebox.gateway.admission.admission_control import Authorization
from agentvoicebox.gateway.http.source import source_of_connection
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.http_server.admit import admit
from agentvoicebox.ports.policy import Action
from agentvoicebox.tenancy.principal import Principal, Right


async def authorize(
    state: GatewayState,
    request: Request,
    right: Right = "realtime",
    *,
    action: Action | None = None,
    resource_id: str = "",
) -> Authorization:
    """The owner of a request's key, and what it may use; one request is taken from its limits.

    Raises as `AdmissionControl.authorize`.
    """
    source = source_of_connection(state, request)
    authorization = await state.admission.authorize(
        request.headers, right=right, action=action, resource_id=resource_id, source=source
    )
    if authorization.secret is not None:
        raise PolicyDenied("A client secret opens sessions only; show an API key.", code="insufficient_permissions")
    admit(request.scope)
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
