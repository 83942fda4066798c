"""Routes of the gateway: the Realtime socket, and the REST API beside it.

Decides addresses and the shape of answers. Who may use them: `admission`; how a call runs: `realtime`.
"""

from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from agentvoicebox import __version__
from agentvoicebox.agents import UnknownModel
from agentvoicebox.errors import AgentVoiceBoxError, ClientError
from agentvoicebox.gateway.admission.handshake import SESSION_ID, subprotocols_in
from agentvoicebox.gateway.http.admin import admin_routes
from agentvoicebox.gateway.http.admin_bodies import Fault
from agentvoicebox.gateway.http.audio import add_audio
from agentvoicebox.gateway.http.authorization import principal_of
from agentvoicebox.gateway.http.error_response import error_response
from agentvoicebox.gateway.http.history import history_routes
from agentvoicebox.gateway.http.minting import add_minting
from agentvoicebox.gateway.http.readiness import Readiness
from agentvoicebox.gateway.http.realtime import realtime_endpoint
from agentvoicebox.gateway.http.realtime_routes import REALTIME_PATHS, add_realtime_routes, is_media_path
from agentvoicebox.gateway.state import GatewayState, RecordStores
from agentvoicebox.http_server.cross_origin import CrossOrigin
from agentvoicebox.http_server.local_only import LocalOnly
from agentvoicebox.http_server.unmatched import answer_unmatched
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.tenancy.principal import Principal

REST, ADMINISTRATION = "/v1/", "/v1/admin"


def create_app(state: GatewayState) -> FastAPI:
    """The ASGI application of one gateway."""
    refused: dict[int | str, dict[str, Any]] = {
        "default": {"model": Fault, "description": "A refusal; docs/reference/errors.md lists them."}
    }
    app = FastAPI(
        title="AgentVoiceBox", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, responses=refused
    )
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
    if state.records is not None:
        _add_records(app, state, state.records)
    return app


def protect(app: ASGIApp, state: GatewayState) -> ASGIApp:
    """The application as it is served: without configured keys, only to this machine and to keys of tenants."""
    shared = CrossOrigin(app, origins=state.cors_origins, is_shared=_is_shared, is_public=is_media_path)
    if not state.admission.is_open:
        return shared
    return LocalOnly(shared, is_exempt=lambda headers: state.admission.shows_key(headers, subprotocols_in(headers)))


def _is_shared(path: str) -> bool:
    """Whether pages of AVB_CORS_ORIGINS may read what is there: the REST API, but not the administration."""
    return path.startswith(REST) and not path.startswith(ADMINISTRATION)


def _add_probes(app: FastAPI, state: GatewayState) -> None:
    """What a load balancer asks. It needs no key, so it tells nothing but the state; `internal` tells the rest."""
    readiness = Readiness(state)

    @app.get("/health", summary="Whether the process lives")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    unready: dict[int | str, dict[str, Any]] = {503: {"description": "No calls can be taken; the body says why."}}

    @app.get("/ready", summary="Whether calls can be taken", responses=unready)
    async def ready() -> JSONResponse:
        status, body = await readiness.check()
        return JSONResponse({"status": body["status"]}, status_code=status)


def _add_catalogue(app: FastAPI, state: GatewayState) -> None:
    @app.get("/v1/models", summary="The agents that can be called")
    async def models(request: Request) -> dict[str, Any]:
        await principal_of(state, request, action="model.list")
        return list_models()

    def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(name) for name in state.agents.by_name]}

    @app.get("/v1/models/{model_id:path}", summary="One of them, by each name that a session may ask for")
    async def model(request: Request, model_id: str) -> JSONResponse:
        await principal_of(state, request, action="model.list")
        if not model_id:
            return JSONResponse(list_models())
        try:
            state.agents.resolve(model_id)
        except UnknownModel as error:
            return error_response(ClientError(error.message, code="model_not_found", param="model"), 404)
        return JSONResponse(_model(model_id))

    @app.get("/v1/voices", summary="The voices that a session may ask for")
    async def voices(request: Request) -> dict[str, Any]:
        await principal_of(state, request, action="model.list")
        return {"object": "list", "data": [msgspec.to_builtins(voice) for voice in state.voices]}

    @app.get("/v1/sessions/{session_id}", summary="A call that is going on, at whichever gateway")
    async def session(request: Request, session_id: str) -> Response:
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

    app.include_router(history_routes(records.history, records.usage, admit))
    decisions = state.admission.decisions
    app.include_router(admin_routes(records.postgres, decisions, admit_admin, rules=records.rules))
