"""The Realtime WebSocket: judges the request, accepts the connection, runs the call, or sends the refusal.

A request without any credential gets an HTTP 401 instead of an upgrade. Every other refusal is sent after the upgrade, as one
`error` event and a close, because OpenAI's clients look for it there: some retry after an HTTP status, and a browser can't read
it. Nothing that the client sends is parsed before the decision.
"""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from agentvoicebox.errors import AgentVoiceBoxError, TooManyWrongCredentials
from agentvoicebox.gateway.admission.admission_control import NoCredentials
from agentvoicebox.gateway.admission.call_admission import AdmittedCall, CallAdmission
from agentvoicebox.gateway.admission.handshake import UpgradeRequest, choose_subprotocol, close_of
from agentvoicebox.gateway.call.call import Call
from agentvoicebox.gateway.call.call_assembly import assemble
from agentvoicebox.gateway.call.session_resume import resume_session
from agentvoicebox.gateway.call.session_start import SessionStart, open_session
from agentvoicebox.gateway.http.error_response import error_response
from agentvoicebox.gateway.http.sideband import serve_sideband
from agentvoicebox.gateway.http.source import source_of_connection
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.http_server.admit import admit
from agentvoicebox.telemetry.logs import bound, get_logger, sane_id
from agentvoicebox.telemetry.trace_ids import trace_id_of
from agentvoicebox.wire.codec import encode_server
from agentvoicebox.wire.faults import body_of
from agentvoicebox.wire.server_events import ErrorEvent

log = get_logger(__name__)


def realtime_endpoint(state: GatewayState) -> Callable[[WebSocket], Awaitable[None]]:
    """The ASGI endpoint."""
    admission = CallAdmission(state.admission, state.agents, state.directory, state.sessions, clock=state.clock)

    async def realtime(websocket: WebSocket) -> None:
        offered: list[str] = websocket.scope.get("subprotocols", [])
        given_id = sane_id(websocket.headers.get("x-correlation-id", ""))
        source = source_of_connection(state, websocket)
        upgrade = UpgradeRequest(websocket.headers, websocket.query_params, offered, source)
        with bound(correlation_id=given_id or secrets.token_hex(16)):
            try:
                state.admission.require_credential(upgrade.headers, offered, source=source)
            except (NoCredentials, TooManyWrongCredentials) as error:
                await _refuse_upgrade(state, websocket, error)
                return
            try:
                if state.media is not None and "call_id" in upgrade.query:
                    await serve_sideband(state, state.media, websocket, upgrade)
                else:
                    await _serve(state, websocket, await admission.admit(upgrade), given_id)
            except AgentVoiceBoxError as error:
                await _refuse(state, websocket, error)

    return realtime


async def _serve(state: GatewayState, websocket: WebSocket, admitted: AdmittedCall, given_id: str) -> None:
    """Run an admitted call, and release its place. Raises what prevents the session from starting.

    Its log lines have the client's own correlation id, or else the trace id, which another gateway finds again.
    """
    session, request = admitted.session, admitted.request
    # A session that could not be resumed is not over: the client may try again, at any gateway.
    is_over = request.resume is None
    trace_id = trace_id_of(session.session_id)
    ids = {"session_id": session.session_id, "correlation_id": given_id or trace_id, "trace_id": trace_id}
    with bound(tenant_id=session.tenant_id, **ids):
        try:
            await _accept(websocket)
            admit(websocket.scope)
            start = await _start(state, admitted)
            parts = assemble(state, websocket, admitted, start, correlation_id=ids["correlation_id"])
            call = Call(state, admitted, start, parts)
            began_s = state.clock.monotonic_s()
            state.metrics.call_began(is_resumed=not is_over)
            log.info("call began", agent=request.agent.name, dialect=request.dialect.value, is_resumed=not is_over)
            try:
                await call.run()
            finally:
                is_over = call.is_over
                seconds = round(state.clock.monotonic_s() - began_s, 3)
                log.info("call ended", seconds=seconds, session_is_over=is_over)
        finally:
            state.sessions.release(admitted.slot, is_over=is_over)


async def _start(state: GatewayState, admitted: AdmittedCall) -> SessionStart:
    """The only place that asks whether the session is new or resumed."""
    resume = admitted.request.resume
    return await (open_session(state, admitted) if resume is None else resume_session(state, admitted, resume))


async def _accept(websocket: WebSocket) -> None:
    if websocket.application_state is WebSocketState.CONNECTING:
        await websocket.accept(subprotocol=choose_subprotocol(websocket.scope.get("subprotocols", [])))


async def _refuse_upgrade(state: GatewayState, websocket: WebSocket, error: AgentVoiceBoxError) -> None:
    state.metrics.refused(error.code)
    with suppress(WebSocketDisconnect, RuntimeError):
        await websocket.send_denial_response(error_response(error))


async def _refuse(state: GatewayState, websocket: WebSocket, error: AgentVoiceBoxError) -> None:
    """One `error` event, then the close: OpenAI's clients expect both."""
    state.metrics.refused(error.code)
    log.info("call refused", code=error.code)
    event = ErrorEvent(event_id=f"event_{secrets.token_hex(10)}", error=body_of(error))
    code, reason = close_of(error)
    with suppress(WebSocketDisconnect, RuntimeError):  # the client may have left in the meantime
        await _accept(websocket)
        await websocket.send_text(encode_server(event).decode())
        await websocket.close(code, reason)
