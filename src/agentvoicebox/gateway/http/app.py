"""Routes of the gateway: the Realtime socket, and the REST API beside it.

Decides addresses and the shape of answers. Who may use them: `admission`; how a call runs: `realtime`.
"""

from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from agentvoicebox.agents import UnknownModel
from agentvoicebox.errors import AgentVoiceBoxError, ClientError
from agentvoicebox.gateway.admission.handshake import SESSION_ID, subprotocols_in
from agentvoicebox.gateway.http.admin import admin_routes
from agentvoicebox.gateway.http.audio import add_audio
from agentvoicebox.gateway.http.authorization import principal_of, watcher_of
from agentvoicebox.gateway.http.catalogue_bodies import (
    ModelBody,
    ModelList,
    OpenSessionBody,
    ReadyBody,
    VoiceList,
)
from agentvoicebox.gateway.http.console import add_console
from agentvoicebox.gateway.http.credentials import KEYED, KEYS, LOCAL
from agentvoicebox.gateway.http.error_response import error_response
from agentvoicebox.gateway.http.history import history_routes
from agentvoicebox.gateway.http.minting import add_minting
from agentvoicebox.gateway.http.readiness import Readiness
from agentvoicebox.gateway.http.realtime import realtime_endpoint
from agentvoicebox.gateway.http.realtime_routes import REALTIME_PATHS, add_realtime_routes, is_media_path
from agentvoicebox.gateway.http.request_counter import RequestCounter
from agentvoicebox.gateway.http.status import StatusReader, status_routes
from agentvoicebox.gateway.http.webrtc import add_webrtc
from agentvoicebox.gateway.state import GatewayState, RecordStores
from agentvoicebox.http_server.correlated import Correlated
from agentvoicebox.http_server.cross_origin import CrossOrigin
from agentvoicebox.http_server.described import PUBLIC, Described, answered, refusals
from agentvoicebox.http_server.local_only import LocalOnly
from agentvoicebox.http_server.probe_routes import HealthBody
from agentvoicebox.http_server.unmatched import answer_unmatched
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.tenancy.principal import Principal
from agentvoicebox.wire.session_shapes import session_schemas

REST, ADMINISTRATION = "/v1/", "/v1/admin"
ABOUT = """The REST API beside the Realtime WebSocket `/v1/realtime`, whose events the AsyncAPI document describes.

`HEAD` is answered as `GET`, and a slash at the end changes nothing. An address without a route is answered with 404, another
method with 405, both as `Fault`."""
NO_AGENT = {404: "No such agent, or one without a language model."}


def create_app(state: GatewayState) -> FastAPI:
    """The ASGI application of one gateway."""
    app = Described("AgentVoiceBox gateway", ABOUT, port=8000, schemes=KEYS, common=LOCAL, schemas=session_schemas())
    answer_unmatched(app, socket_path=REALTIME_PATHS[0])
    add_realtime_routes(app, realtime_endpoint(state))

    @app.exception_handler(AgentVoiceBoxError)
    async def failed(request: Request, error: AgentVoiceBoxError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(ClientDisconnect)
    async def left(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # the client is gone

    _add_probes(app, state)
    _add_catalogue(app, state)
    add_minting(app, state)
    add_audio(app, state)
    add_webrtc(app, state, REALTIME_PATHS)
    app.include_router(
        status_routes(StatusReader(state).read, state.admission.decisions, lambda request: watcher_of(state, request))
    )
    if state.records is not None:
        _add_records(app, state, state.records)
    if state.has_console:
        add_console(app)
    return app


def protect(app: ASGIApp, state: GatewayState) -> ASGIApp:
    """The application as it is served: without configured keys, only to this machine and to keys of tenants."""
    guarded: ASGIApp = CrossOrigin(app, origins=state.cors_origins, is_shared=_is_shared, is_public=is_media_path)
    if state.admission.is_open:
        guarded = LocalOnly(
            guarded, is_exempt=lambda headers: state.admission.shows_key(headers, subprotocols_in(headers))
        )
    return Correlated(RequestCounter(guarded, state.metrics))


def _is_shared(path: str) -> bool:
    """Whether pages of AVB_CORS_ORIGINS may read what is there: the REST API, but not the administration."""
    return path.startswith(REST) and not path.startswith(ADMINISTRATION)


def _add_probes(app: FastAPI, state: GatewayState) -> None:
    """What a load balancer asks. It needs no key, so it tells nothing but the state; `internal` tells the rest."""
    readiness = Readiness(state)

    @app.get(
        "/health",
        summary="Whether the process lives",
        tags=["probes"],
        response_model=None,
        responses=answered(HealthBody, "It does."),
        openapi_extra=PUBLIC,
    )
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/ready",
        summary="Whether calls can be taken",
        tags=["probes"],
        response_model=None,
        responses={
            **answered(ReadyBody, "They can."),
            **answered(ReadyBody, "They can't, for now; the internal port says why.", status=503),
        },
        openapi_extra=PUBLIC,
    )
    async def ready() -> JSONResponse:
        status, body = await readiness.check()
        return JSONResponse({"status": body["status"]}, status_code=status)


def _add_catalogue(app: FastAPI, state: GatewayState) -> None:
    described: dict[str, Any] = {"tags": ["catalogue"], "response_model": None}

    @app.get(
        "/v1/models",
        summary="The agents that can be called",
        responses={**KEYED, **answered(ModelList, "All agents.")},
        **described,
    )
    async def models(request: Request) -> dict[str, Any]:
        await principal_of(state, request, action="model.list")
        return list_models()

    def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(name) for name in state.agents.offered]}

    @app.get(
        "/v1/models/{model_id:path}",
        summary="One of them, by each name that a session may ask for",
        responses={**KEYED, **refusals(404, said=NO_AGENT), **answered(ModelBody, "The agent.")},
        **described,
    )
    async def model(request: Request, model_id: str) -> JSONResponse:
        await principal_of(state, request, action="model.list")
        if not model_id:
            return JSONResponse(list_models())
        try:
            state.agents.resolve(model_id)
        except UnknownModel as error:
            return error_response(ClientError(error.message, code="model_not_found", param="model"), 404)
        return JSONResponse(_model(model_id))

    @app.get(
        "/v1/voices",
        summary="The voices that a session may ask for",
        responses={**KEYED, **answered(VoiceList, "All voices.")},
        **described,
    )
    async def voices(request: Request) -> dict[str, Any]:
        await principal_of(state, request, action="model.list")
        return {"object": "list", "data": [msgspec.to_builtins(voice) for voice in state.voices]}

    @app.get(
        "/v1/sessions/{session_id}",
        summary="A call that is going on, at whichever gateway",
        responses={**KEYED, **refusals(404), **answered(OpenSessionBody, "The session.")},
        **described,
    )
    async def open_session(request: Request, session_id: str) -> Response:
        is_valid = SESSION_ID.fullmatch(session_id) is not None
        wanted = session_id if is_valid else ""
        tenant_id = (await principal_of(state, request, action="session.read", resource_id=wanted)).tenant_id
        fields = await state.directory.get(SessionRef(tenant_id, session_id)) if is_valid else None
        if fields is None:
            error = ClientError(f"There is no session {session_id[:64]!r}.", code="session_not_found")
            return error_response(error, 404)
        return JSONResponse({"id": session_id, "object": "realtime.session", **fields})


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "agentvoicebox"}


def _add_records(app: FastAPI, state: GatewayState, records: RecordStores) -> None:
    async def admit(request: Request) -> Principal:
        return await principal_of(state, request, action="session.read")

    async def admit_admin(request: Request) -> Principal:
        return await principal_of(state, request, "admin")

    app.include_router(history_routes(records.history, records.usage, admit, records.audio))
    decisions = state.admission.decisions
    app.include_router(admin_routes(records.postgres, decisions, admit_admin, rules=records.rules, vault=records.vault))
