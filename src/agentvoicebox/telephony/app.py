"""The telephony server: webhook and WebSocket of Twilio, WebSockets of Telnyx and Asterisk, and a route that makes calls."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agentvoicebox.clock import Clock
from agentvoicebox.errors import BodyTooLarge, TooManyWrongCredentials
from agentvoicebox.http_server.admit import admit
from agentvoicebox.http_server.local_only import find_foreign
from agentvoicebox.http_server.request_body import bounded_body
from agentvoicebox.limits.wrong_credentials import WrongCredentials
from agentvoicebox.request_source import source_of
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telephony import twiml
from agentvoicebox.telephony.asterisk import AsteriskChannel
from agentvoicebox.telephony.call_plan import CallPlan
from agentvoicebox.telephony.call_tools import Outcome
from agentvoicebox.telephony.diallers import NotDialled
from agentvoicebox.telephony.line import LineProtocol
from agentvoicebox.telephony.line_connection import LineConnection
from agentvoicebox.telephony.line_writer import LineWriter
from agentvoicebox.telephony.media_streams import telnyx, twilio
from agentvoicebox.telephony.metrics import TelephonyMetrics
from agentvoicebox.telephony.outgoing_calls import OutgoingCalls
from agentvoicebox.telephony.signatures import SIGNATURE_HEADER, is_from_twilio, shows_token
from agentvoicebox.telephony.telephone_call import TelephoneCall

START_S = 10.0  # a line that has not begun its call by then is closed
MAX_FORM_BYTES = 64 * 1024
MOST_REMEMBERED = 10_000  # ended calls whose carrier has not asked yet what to do
VOICE_PATH, AFTER_PATH, TWILIO_PATH = "/twilio/voice", "/twilio/after", "/twilio/media"
TELNYX_PATH, ASTERISK_PATH, ASTERISK_AFTER_PATH = "/telnyx/media", "/asterisk/media", "/asterisk/after"
CALLS_PATH = "/calls"
MAX_ORDER_BYTES = 4 * 1024

log = get_logger(__name__)


class TelephonyAccess(msgspec.Struct, frozen=True):
    """Which providers may connect, and what they must show.

    Attributes:
        open: their names.
        url: address of this server as Twilio calls it; empty without Twilio.
        auth_token: Twilio's.
        token: of the other providers; empty: only this machine may connect.
        transfer_to: whom `transfer_call` reaches.
        most_calls: at a time.
        trusted_proxy_header: names the source of a request; "": its connection does.
    """

    open: tuple[str, ...]
    url: str = ""
    auth_token: str = ""
    token: str = ""
    transfer_to: str = ""
    most_calls: int = 24
    trusted_proxy_header: str = ""

    def __repr__(self) -> str:
        return f"TelephonyAccess({', '.join(self.open)})"


class TelephonyServer:
    """What the routes share.

    Args:
        access: who may connect.
        plan: how calls are answered.
        metrics: of the calls.
        wrong_credentials: limit of each address.
        clock: of the calls.
        leaving: once it is set, no call is taken.
        outgoing: makes calls; None: none are made.
    """

    def __init__(
        self,
        access: TelephonyAccess,
        plan: CallPlan,
        metrics: TelephonyMetrics,
        *,
        wrong_credentials: WrongCredentials,
        clock: Clock,
        leaving: asyncio.Event,
        outgoing: OutgoingCalls | None = None,
    ) -> None:
        self._access = access
        self._plan = plan
        self._metrics = metrics
        self._wrong_credentials = wrong_credentials
        self._clock = clock
        self._leaving = leaving
        self._outgoing = outgoing
        self._calls = 0
        self._outcomes: OrderedDict[tuple[str, str], Outcome] = OrderedDict()  # by provider and call, until it asks

    def app(self) -> Starlette:
        """The ASGI application."""
        routes: list[BaseRoute] = []
        if "twilio" in self._access.open:
            routes += [
                # With a slash at the end, too: a redirect would be signed under another address.
                *(Route(f"{VOICE_PATH}{end}", self._voice, methods=["POST"]) for end in ("", "/")),
                *(Route(f"{AFTER_PATH}{end}", self._after, methods=["POST"]) for end in ("", "/")),
                WebSocketRoute(TWILIO_PATH, self._socket("twilio", twilio)),
            ]
        if "telnyx" in self._access.open:
            routes.append(WebSocketRoute(TELNYX_PATH, self._socket("telnyx", telnyx)))
        if "asterisk" in self._access.open:
            routes.append(WebSocketRoute(ASTERISK_PATH, self._socket("asterisk", AsteriskChannel)))
            routes.append(Route(ASTERISK_AFTER_PATH, self._after_asterisk, methods=["GET"]))
        if self._outgoing is not None:
            routes.append(Route(CALLS_PATH, self._make_call, methods=["POST"]))
        return Starlette(routes=routes)

    # -- Twilio's webhooks ---------------------------------------------------------------------------------------------

    async def _voice(self, request: Request) -> Response:
        """A call comes in: connect it to the media socket. Query parameters of the webhook's address become the stream's."""
        form = await self._signed_form(request)
        if isinstance(form, Response):
            return form
        if self._is_full:
            self._metrics.refused("twilio", "capacity")
            return _xml(twiml.apologise())
        stream = "wss://" + self._access.url.partition("://")[2] + TWILIO_PATH
        return _xml(twiml.connect(stream, self._access.url + AFTER_PATH, dict(request.query_params)))

    async def _after(self, request: Request) -> Response:
        """The stream has ended: pass the caller on, apologise, or hang up."""
        form = await self._signed_form(request)
        if isinstance(form, Response):
            return form
        match self._outcomes.pop(("twilio", form.get("CallSid", "")), None):
            case "transferred":
                return _xml(twiml.dial(self._access.transfer_to))
            case "no_session" | "session_lost":
                return _xml(twiml.apologise())
            case _:
                return _xml(twiml.hang_up())

    async def _after_asterisk(self, request: Request) -> Response:
        """The line has ended: `dial:` and whom Asterisk's script shall dial, or `hangup`. A refusal is neither."""
        if not self._may_enter("asterisk", request):
            return self._refusal("asterisk", request)
        admit(request.scope)
        outcome = self._outcomes.pop(("asterisk", request.query_params.get("call", "")), None)
        return PlainTextResponse(f"dial:{self._access.transfer_to}" if outcome == "transferred" else "hangup")

    async def _signed_form(self, request: Request) -> dict[str, str] | Response:
        """The form of a request that Twilio signed; the refusal of any other request."""
        try:
            body = await bounded_body(request, MAX_FORM_BYTES)
        except BodyTooLarge as error:
            return PlainTextResponse(f"{error.message}\n", 413)
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        # As it was sent: Twilio signs the query with its escapes.
        sent = request.scope["query_string"].decode("latin-1")
        url = f"{self._access.url}{request.url.path}{'?' if sent else ''}{sent}"
        given = request.headers.get(SIGNATURE_HEADER, "")
        if not is_from_twilio(self._access.auth_token, [url], given, pairs):
            return self._refusal("twilio", request)
        admit(request.scope)
        return dict(pairs)

    def _refusal(self, provider: str, request: HTTPConnection) -> Response:
        """The answer to a request without a valid credential: 403, or 429 after too many of its address."""
        self._metrics.refused(provider, "signature" if provider == "twilio" else "token")
        peer = request.client.host if request.client else ""
        try:
            self._wrong_credentials.count(source_of(peer, request.headers, self._access.trusted_proxy_header))
        except TooManyWrongCredentials as refused:
            return PlainTextResponse(f"{refused.message}\n", 429, {"Retry-After": str(refused.retry_after_s)})
        return PlainTextResponse("The credential is invalid.\n", 403)

    # -- calls that we make --------------------------------------------------------------------------------------------

    async def _make_call(self, request: Request) -> Response:
        """A call is ordered, `{"to": "+4930123456", "agent": "clinic"}`: 201 once it rings."""
        if not shows_token(self._access.token, request.headers, {}):
            refusal = self._refusal("outgoing", request)
            message = "The token is invalid; show AVB_TELEPHONY_TOKEN as a bearer token."
            return _fault(refusal.status_code, "invalid_api_key", message, dict(refusal.headers))
        admit(request.scope)
        if self._is_full:
            self._metrics.refused("outgoing", "capacity")
            return _fault(503, "overloaded", "No line is free; see AVB_TELEPHONY_MAX_CALLS.", {"Retry-After": "5"})
        assert self._outgoing is not None
        try:
            made = await self._outgoing.make(await bounded_body(request, MAX_ORDER_BYTES))
        except BodyTooLarge as error:
            return _fault(413, "request_too_large", error.message)
        except NotDialled as error:
            log.warning("a telephone call was not begun", code=error.code, reason=error.message)
            self._metrics.refused("outgoing", error.code or "")
            return _fault(error.status, error.code or "", error.message)
        return JSONResponse(msgspec.to_builtins(made), 201)

    # -- media ---------------------------------------------------------------------------------------------------------

    @property
    def _is_full(self) -> bool:
        return self._calls >= self._access.most_calls or self._leaving.is_set()

    def _socket(self, provider: str, protocol: Callable[[], LineProtocol]) -> Callable[[WebSocket], object]:
        async def media(websocket: WebSocket) -> None:
            if not self._may_enter(provider, websocket):
                await websocket.send_denial_response(self._refusal(provider, websocket))
                return
            if self._is_full:
                self._metrics.refused(provider, "capacity")
                await websocket.send_denial_response(PlainTextResponse("No free line.\n", 503, {"Retry-After": "5"}))
                return
            admit(websocket.scope)
            offered = websocket.scope.get("subprotocols") or [None]
            self._calls += 1  # before anything is awaited, so that no more are taken than may be
            self._metrics.began(provider)
            outcome: Outcome | None = None
            try:
                await websocket.accept(subprotocol=offered[0])
                outcome = await self._serve(websocket, protocol())
            finally:
                self._calls -= 1
                self._metrics.ended(provider, outcome or "failed")
                with suppress(RuntimeError, WebSocketDisconnect):
                    await websocket.close()

        return media

    def _may_enter(self, provider: str, request: HTTPConnection) -> bool:
        if provider != "twilio" and not self._access.token:
            return find_foreign(request.headers) is None
        if provider != "twilio":
            return shows_token(self._access.token, request.headers, request.query_params)
        place = self._access.url.partition("://")[2] + request.url.path
        urls = [f"wss://{place}", f"https://{place}", f"ws://{place}", f"http://{place}"]
        return is_from_twilio(self._access.auth_token, urls, request.headers.get(SIGNATURE_HEADER, ""))

    async def _serve(self, websocket: WebSocket, protocol: LineProtocol) -> Outcome | None:
        """Run the call; None when the line never began one."""
        line = LineConnection(websocket, protocol)
        try:
            async with asyncio.timeout(START_S):
                started = await line.started()
        except TimeoutError:
            log.info("a line did not begin its call", provider=protocol.name)
            return None
        if started is None:
            self._metrics.refused(protocol.name, "unreadable")
            return None
        writer = LineWriter(protocol, line.send)
        call = TelephoneCall(started, line.receive, writer, self._plan, self._clock)
        log.info("telephone call began", provider=protocol.name, line_call_id=started.call_id)
        outcome = await call.run()
        log.info("telephone call ended", provider=protocol.name, line_call_id=started.call_id, outcome=outcome)
        if started.asks_afterwards and started.call_id:
            self._outcomes[protocol.name, started.call_id] = outcome
            if len(self._outcomes) > MOST_REMEMBERED:
                self._outcomes.popitem(last=False)
        await writer.hang_up()  # the carrier asks from now on
        return outcome


def _xml(text: str) -> Response:
    return Response(text, media_type="application/xml")


def _fault(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    kept = {name: value for name, value in (headers or {}).items() if name.lower() == "retry-after"}
    return JSONResponse({"error": {"type": kind, "code": code, "message": message, "param": None}}, status, kept)
