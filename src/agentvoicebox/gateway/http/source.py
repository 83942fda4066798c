"""The source of a request or WebSocket, whose wrong credentials are counted together."""

from starlette.requests import HTTPConnection

from agentvoicebox.gateway.state import GatewayState


def source_of_connection(state: GatewayState, connection: HTTPConnection) -> str:
    """See `AdmissionControl.source_of`."""
    peer = "" if connection.client is None else connection.client.host
    return state.admission.source_of(peer, connection.headers)
