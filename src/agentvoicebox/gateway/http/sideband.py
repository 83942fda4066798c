"""`/v1/realtime?call_id=rtc_…`: a second connection to a WebRTC call's session, of the server that watches or steers it.

It receives every event of the session, and its own events go to the session beside those of the page. Passes events on as they
are; the role (`media.media_roles`) has the session. A sideband sends no faster than any client, and one that reads too slowly is
closed, so that neither delays the caller's audio.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agentvoicebox.errors import AgentVoiceBoxError, ClientError, InfrastructureError, InvalidEvent, PolicyDenied
from agentvoicebox.gateway.admission.admission_control import Authorization
from agentvoicebox.gateway.admission.handshake import UpgradeRequest, choose_subprotocol
from agentvoicebox.gateway.media.media_roles import MediaRoles, too_many_sidebands
from agentvoicebox.gateway.media.role_answers import CallNotFound, WebRtcUnavailable
from agentvoicebox.gateway.pace import ServingPace
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.http_server.admit import admit
from agentvoicebox.http_server.websocket_connection import FRAGMENTS
from agentvoicebox.resilience.token_bucket import TokenBucket
from agentvoicebox.telemetry.logs import bound, get_logger
from agentvoicebox.wire.codec import decode_client, encode_server
from agentvoicebox.wire.faults import body_of
from agentvoicebox.wire.large_append import MAX_EVENT_BYTES, NoAppend
from agentvoicebox.wire.server_events import ErrorEvent

STALLED_S = 20.0  # for one message, either way
EVENTS_BURST_S = 5.0
EVENT_BYTES = 8 * 1024  # of one event count as one more
CLOSE_S = 5.0
NORMAL_CLOSE, GOING_AWAY, SLOW_CLOSE = 1000, 1001, 1008
NO_CALL_CLOSE, TRY_LATER_CLOSE = (
    4404,
    1013,
)  # of a role; the latter when the call has too many, or this one reads too slowly
MOST_ID_CHARS = 64
SLOW_READER = "slow_reader"

log = get_logger(__name__)


async def serve_sideband(state: GatewayState, media: MediaRoles, websocket: WebSocket, upgrade: UpgradeRequest) -> None:
    """Judge, join the call, and pass on until either side ends.

    Raises:
        AgentVoiceBoxError: refused, or ended by us; the connection may be accepted already.
    """
    call_id = upgrade.query.get("call_id", "")[:MOST_ID_CHARS]
    authorization = await state.admission.authorize(
        upgrade.headers, upgrade.subprotocols, action="session.resume", resource_id=call_id, source=upgrade.source
    )
    if authorization.secret is not None:
        raise PolicyDenied("A client secret opens sessions only; show an API key.", code="insufficient_permissions")
    tenant_id = authorization.principal.tenant_id
    await state.tenant_pace.wait(tenant_id)
    async with media.sideband(call_id, tenant_id) as line:
        await websocket.accept(subprotocol=choose_subprotocol(upgrade.subprotocols))
        admit(websocket.scope)
        with bound(tenant_id=tenant_id):
            log.info("a sideband began", call_id=call_id)
            try:
                await _Sideband(websocket, line, state.pace).run(_recheck(state, authorization))
            finally:
                log.info("a sideband ended", call_id=call_id)


class _Sideband:
    """One connection of a client, and one to the role."""

    def __init__(self, websocket: WebSocket, line: ClientConnection, pace: ServingPace) -> None:
        self._websocket = websocket
        self._line = line
        self._events = TokenBucket(pace.events_per_s, pace.events_per_s * EVENTS_BURST_S)

    async def run(self, *beside: Coroutine[Any, Any, None]) -> None:
        """Until the first of both directions, or of what runs beside, ends. Raises its error."""
        tasks = [asyncio.create_task(each) for each in (self._listen(), self._speak(), *beside)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                with suppress(WebSocketDisconnect, RuntimeError):  # Starlette's, for a message after the client's close
                    await each
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        """Events of the session, to the client."""
        try:
            async for message in self._line:
                await self._send(message if isinstance(message, str) else message.decode())
            code = NORMAL_CLOSE
        except ConnectionClosed as closed:
            code = 0 if closed.rcvd is None else closed.rcvd.code
        if code in (NORMAL_CLOSE, GOING_AWAY):  # the call is over
            await self._close(NORMAL_CLOSE, "")
        elif code == NO_CALL_CLOSE:
            raise CallNotFound
        elif code == TRY_LATER_CLOSE:
            raise too_many_sidebands()
        else:
            raise WebRtcUnavailable("The process that carries this call failed.")

    async def _speak(self) -> None:
        """Events of the client, to the session."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                event = _event_in(message)
            except ClientError as error:
                await self._events_turn(0)
                refused = ErrorEvent(event_id=f"event_{secrets.token_hex(10)}", error=body_of(error))
                await self._send(encode_server(refused).decode())
                continue
            await self._events_turn(len(event))
            try:
                async with asyncio.timeout(STALLED_S):
                    await self._line.send(event)
            except ConnectionClosed:
                await asyncio.Event().wait()  # `_listen` knows why
            except TimeoutError as error:
                raise WebRtcUnavailable("The process that carries this call does not take events.") from error

    async def _events_turn(self, size: int) -> None:
        if wait_s := self._events.take(asyncio.get_running_loop().time(), 1 + size / EVENT_BYTES):
            await asyncio.sleep(wait_s)

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(STALLED_S):
                await self._websocket.send_text(text)
        except TimeoutError:
            await self._close(SLOW_CLOSE, SLOW_READER)

    async def _close(self, code: int, reason: str) -> None:
        with suppress(TimeoutError):  # it is aborted then
            async with asyncio.timeout(CLOSE_S):
                await self._websocket.close(code, reason)


def _event_in(message: Any) -> str:
    """The text of a client's message. Raises InvalidEvent: it is binary, or longer than an event may be."""
    fragments, text = message.get(FRAGMENTS), message.get("text")
    if fragments is not None:
        if sum(map(len, fragments)) > MAX_EVENT_BYTES:
            raise NoAppend(event_id=None)
        try:
            return b"".join(fragments).decode()
        except UnicodeDecodeError as error:
            raise InvalidEvent("The frame is not UTF-8.", code="invalid_json") from error
    if text is None:
        decode_client(b"", is_text=False)  # raises
        raise InvalidEvent("A frame holds text.")
    return str(text) if isinstance(text, str) else bytes(text).decode()


async def _recheck(state: GatewayState, authorization: Authorization) -> None:
    """Ask regularly whether the caller may go on listening. Raises why not."""
    while True:
        await asyncio.sleep(state.admission.recheck_s)
        try:
            await state.admission.account_status(authorization.principal)
        except InfrastructureError:
            pass  # PostgreSQL is away, which never ends a call
        except AgentVoiceBoxError as error:
            log.info("the account was refused during a sideband", code=error.code)
            raise
