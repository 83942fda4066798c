"""Routes of the gateway: the Realtime socket, and the few pages beside it.

Decides addresses and the shape of answers. Who may come in is `reception` and `house`; what a call is, `call`.
"""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from agentvoicebox import __version__
from agentvoicebox.errors import AgentVoiceBoxError, ClientError, PolicyDenied
from agentvoicebox.gateway.admin import admin_routes
from agentvoicebox.gateway.call import Call, new_session_id
from agentvoicebox.gateway.handshake import SESSION_ID, Welcome, choose_subprotocol, close_of, welcome
from agentvoicebox.gateway.history import history_routes
from agentvoicebox.gateway.house import House
from agentvoicebox.gateway.minting import add_minting
from agentvoicebox.gateway.readiness import Readiness
from agentvoicebox.gateway.resume import Restored, find, take_up
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.ports.policy import Action
from agentvoicebox.sessions.directory import new_owner
from agentvoicebox.telemetry.logs import bound, get_logger, sane_id
from agentvoicebox.tenancy.principal import Principal, Right
from agentvoicebox.wire.codec import encode_server
from agentvoicebox.wire.faults import body_of, headers_of, status_of
from agentvoicebox.wire.server_events import ErrorEvent

# Clients append `/realtime` to whatever base address they are given; the latter two are Azure's.
REALTIME_PATHS = ("/v1/realtime", "/realtime", "/openai/v1/realtime", "/openai/realtime")

log = get_logger(__name__)


def create_app(house: House) -> FastAPI:
    """The ASGI application over one house."""
    readiness = Readiness(house)
    app = FastAPI(title="AgentVoiceBox", version=__version__, docs_url="/docs", redoc_url=None)
    for path in REALTIME_PATHS:
        # Not FastAPI's own kind of route: it keeps 4 kB for each open call.
        app.router.routes.append(WebSocketRoute(path, _realtime(house)))

    @app.exception_handler(AgentVoiceBoxError)
    async def failed(request: Request, error: AgentVoiceBoxError) -> JSONResponse:
        return _error(status_of(error), error)

    @app.get("/health", summary="Whether the process lives")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Whether calls can be taken, and the state of what they need")
    async def ready() -> JSONResponse:
        status, body = await readiness.check()
        return JSONResponse(body, status_code=status)

    @app.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(house.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/models", summary="The agents that can be called")
    async def models(request: Request) -> dict[str, Any]:
        await principal_of(house, request, action="model.list")
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "agentvoicebox"} for name in house.agents.by_name
        ]
        return {"object": "list", "data": data}

    @app.get("/v1/voices", summary="The voices that a session may ask for")
    async def voices(request: Request) -> dict[str, Any]:
        await principal_of(house, request, action="model.list")
        return {"object": "list", "data": [msgspec.to_builtins(voice) for voice in house.voices]}

    @app.get("/v1/sessions/{session_id}", summary="A call that is going on, at whichever gateway")
    async def session(request: Request, session_id: str) -> Response:
        known = SESSION_ID.fullmatch(session_id) is not None
        wanted = session_id if known else ""
        tenant_id = (await principal_of(house, request, action="session.read", resource_id=wanted)).tenant_id
        fields = await house.directory.get(SessionRef(tenant_id, session_id)) if known else None
        if fields is None:
            return _error(404, ClientError(f"There is no session {session_id[:64]!r}.", code="session_not_found"))
        return JSONResponse({"id": session_id, "object": "realtime.session", **fields})

    async def admit(request: Request) -> Principal:
        return await principal_of(house, request, action="session.read")

    async def admit_admin(request: Request) -> Principal:
        return await principal_of(house, request, "admin")

    add_minting(app, house)
    if house.history is not None and house.usage is not None:
        app.include_router(history_routes(house.history, house.usage, admit))
    if house.postgres is not None:
        app.include_router(admin_routes(house.postgres, house.reception.decisions, admit_admin, rules=house.rules))
    return app


async def principal_of(
    house: House, request: Request, right: Right = "realtime", *, action: Action | None = None, resource_id: str = ""
) -> Principal:
    """Whose key a REST request shows. A browser's ephemeral secret opens sessions, and nothing else.

    Raises as `Reception.receive`.
    """
    admitted = await house.reception.receive(request.headers, right=right, action=action, resource_id=resource_id)
    if admitted.session is not None:
        raise PolicyDenied("A client secret opens sessions only; show an API key.", code="insufficient_permissions")
    return admitted.principal


def _realtime(house: House) -> Callable[[WebSocket], Awaitable[None]]:
    async def realtime(websocket: WebSocket) -> None:
        offered: list[str] = websocket.scope.get("subprotocols", [])
        await websocket.accept(subprotocol=choose_subprotocol(offered))
        trace_id = secrets.token_hex(16)
        with bound(correlation_id=sane_id(websocket.headers.get("x-correlation-id", "")) or trace_id):
            try:
                headers, query = websocket.headers, websocket.query_params
                admitted = await house.reception.receive(headers, offered, session_id=query.get("session_id", ""))
                who = welcome(headers, query, offered, admitted=admitted, agents=house.agents)
                if who.return_of is None:
                    await house.reception.decisions.require(who.principal, "session.open", resource_id=who.agent.name)
                await _serve(house, websocket, who, trace_id)
            except AgentVoiceBoxError as error:
                await _turn_away(house, websocket, error)

    return realtime


async def _serve(house: House, websocket: WebSocket, who: Welcome, trace_id: str) -> None:
    came_back, owner = who.return_of, new_owner()
    session = SessionRef(who.principal.tenant_id, new_session_id() if came_back is None else came_back.session_id)
    call = Call(house, websocket, who, session, trace_id=trace_id, owner=owner)
    with bound(tenant_id=session.tenant_id, session_id=session.session_id):
        restored: Restored | None = None
        if came_back is None:
            house.admit(session, call)
        else:
            restored = await _take_up(house, session, who, call, owner)
        try:
            await house.reception.seat(session, who.principal, is_new=came_back is None)
        except AgentVoiceBoxError:
            house.dismiss(session, call, is_over=came_back is None)
            house.directory.stop_renewing(session, owner)
            raise
        began_s = house.clock.monotonic_s()
        log.info("call began", agent=who.agent.name, dialect=who.dialect.value, goes_on=restored is not None)
        try:
            await call.run(restored)
        finally:
            house.dismiss(session, call, is_over=call.is_over)
            log.info("call ended", seconds=round(house.clock.monotonic_s() - began_s, 3), session_is_over=call.is_over)


async def _take_up(house: House, session: SessionRef, who: Welcome, call: Call, owner: str) -> Restored:
    """Make the session this call's. A call of this gateway that held it makes place, but only once we have it."""
    seen = await find(house, session, who)
    before = house.admit(session, call, is_new=False)
    try:
        restored = await take_up(house, session, seen, owner)
    except AgentVoiceBoxError:
        house.dismiss(session, call, is_over=False)
        if before is not None and not before.has_left:
            house.admit(session, before, is_new=False)
        raise
    if before is not None:
        before.drop()
    return restored


async def _turn_away(house: House, websocket: WebSocket, error: AgentVoiceBoxError) -> None:
    """One `error` event, then the close: OpenAI's clients look for both."""
    house.metrics.refused(error.code or "no_credentials")
    log.info("caller turned away", code=error.code)
    event = ErrorEvent(event_id=f"event_{secrets.token_hex(10)}", error=body_of(error))
    code, reason = close_of(error)
    with suppress(WebSocketDisconnect, RuntimeError):  # it may have left meanwhile
        await websocket.send_text(encode_server(event).decode())
        await websocket.close(code, reason)


def _error(status: int, error: AgentVoiceBoxError) -> JSONResponse:
    body = msgspec.to_builtins(body_of(error))
    del body["event_id"]
    return JSONResponse({"error": body}, status_code=status, headers=headers_of(error))
