"""Calls by WebRTC: `POST /v1/realtime/calls`, and `…/hangup`.

Judges key, session and model; a role of its own (`media.media_roles`) answers the offer, carries the media, and opens the session
with the caller's own credential, so that quotas and limits of sessions count as ever.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response

from agentvoicebox.errors import Overloaded
from agentvoicebox.gateway.admission.admission_control import Authorization
from agentvoicebox.gateway.admission.call_admission import new_session_id
from agentvoicebox.gateway.admission.handshake import UpgradeRequest, credential_in, parse_handshake, subprotocols_in
from agentvoicebox.gateway.admission.secret_bodies import read_client_secrets
from agentvoicebox.gateway.http.authorization import authorize, principal_of
from agentvoicebox.gateway.http.call_offer import CallOffer, read_offer
from agentvoicebox.gateway.http.credentials import KEYED
from agentvoicebox.gateway.http.error_response import error_response
from agentvoicebox.gateway.http.webrtc_openapi import (
    HANGUP_ANSWER,
    NO_CALL,
    NO_WEBRTC,
    OFFER_ANSWER,
    OFFER_BODY,
    SDP_TYPE,
)
from agentvoicebox.gateway.media.media_roles import MediaOffer
from agentvoicebox.gateway.media.role_answers import CallNotFound, WebRtcNotServed
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.http_server.correlated import HEADER
from agentvoicebox.http_server.described import refusals
from agentvoicebox.telemetry.logs import bound_correlation_id
from agentvoicebox.wire.checks import fault, missing

CALLS = "/v1/realtime/calls"
MOST_MODEL_CHARS = 256


def add_webrtc(app: FastAPI, state: GatewayState, paths: Sequence[str]) -> None:
    """Add the routes. `paths`: of the Realtime socket; the first one's routes are described."""

    async def create_call(request: Request) -> Response:
        return await _open(state, request)

    async def hang_up_call(request: Request, call_id: str) -> Response:
        return await _hang_up(state, request, call_id)

    for number, path in enumerate(paths):
        app.add_api_route(
            f"{path}/calls",
            create_call,
            methods=["POST"],
            status_code=201,
            response_class=Response,
            summary="A call by WebRTC: an offer of SDP for an answer",
            tags=["calls"],
            response_model=None,
            responses={**KEYED, **refusals(400, 413), **refusals(404, said=NO_WEBRTC), **OFFER_ANSWER},
            openapi_extra=OFFER_BODY,
            include_in_schema=number == 0,
        )
        app.add_api_route(
            f"{path}/calls/{{call_id}}/hangup",
            hang_up_call,
            methods=["POST"],
            summary="The end of such a call",
            tags=["calls"],
            response_model=None,
            response_class=Response,
            responses={**KEYED, **refusals(404, said=NO_CALL), **HANGUP_ANSWER},
            include_in_schema=number == 0,
        )
        app.add_api_route(path, create_call, methods=["POST"], include_in_schema=False)  # as it was in beta


async def _open(state: GatewayState, request: Request) -> Response:
    authorization = await authorize(state, request, takes_secrets=True)
    offer = await read_offer(request)
    if state.media is None:
        return error_response(WebRtcNotServed(), 404)
    if offer is None:
        raise missing("sdp")
    if state.sessions.is_draining:
        raise Overloaded("This server is shutting down; please try again.", code="shutting_down", retry_after_s=1.0)
    model, session = _session_of(state, request, authorization, offer)
    shown = credential_in(request.headers, subprotocols_in(request.headers)) or ""
    asked = MediaOffer(
        offer.sdp,
        session,
        model,
        shown,
        authorization.principal.tenant_id,
        {HEADER: bound_correlation_id()},  # the session's log lines have it, too
    )
    call = await state.media.open_call(asked)
    return Response(call.sdp, 201, {"Location": f"{CALLS}/{call.call_id}"}, media_type=SDP_TYPE)


def _session_of(
    state: GatewayState, request: Request, authorization: Authorization, offer: CallOffer
) -> tuple[str, dict[str, Any] | None]:
    """The model, and the first `session.update`.

    Raises:
        ClientError: the session is invalid, or none that WebRTC carries; no such model, or not with this secret.
    """
    secret: Mapping[str, Any] = authorization.session or {}
    session, query = offer.session, request.query_params
    named = query.get("model") or query.get("deployment") or secret.get("model") or state.agents.default.name
    if (session or {}).get("type") == "transcription" or secret.get("type") == "transcription":
        raise fault(
            "A call by WebRTC is a conversation; transcription sessions use the WebSocket transport.",
            "invalid_value",
            "session.type",
        )
    if session is not None:
        named = session.get("model") or named
        whole = {**session, "model": named}
        read_client_secrets(  # which checks a session that no connection has yet
            {"session": whole}, agents=state.agents, session_id=new_session_id(), support=state.support
        )
        session = {**{name: value for name, value in session.items() if name != "model"}, "type": "realtime"}
    upgrade = UpgradeRequest(request.headers, {"model": named[:MOST_MODEL_CHARS]})
    return parse_handshake(upgrade, state.agents, minted=authorization.session).model, session


async def _hang_up(state: GatewayState, request: Request, call_id: str) -> Response:
    principal = await principal_of(state, request, action="session.resume", resource_id=call_id[:MOST_MODEL_CHARS])
    try:
        if state.media is None:
            raise CallNotFound
        await state.media.hang_up(call_id, principal.tenant_id)
    except CallNotFound as error:
        return error_response(error, 404)
    return Response(b"", 200, media_type="text/plain")
