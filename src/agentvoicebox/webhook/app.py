"""The public port: `POST /vapi/webhook`, `/v1/track`, `/v1/tools/<name>`, and Sanity's webhook where a secret for it is set.

Decides addresses, the order of checks (kind and size, credential, limit, content) and the form of errors.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from agentvoicebox import __version__
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BadCredentials, InvalidEvent, RateLimited
from agentvoicebox.interactions.recording import Recording
from agentvoicebox.limits.memory import SlidingWindow
from agentvoicebox.tools.definition import Definition
from agentvoicebox.tools.doors import to_rest
from agentvoicebox.webhook import rest
from agentvoicebox.webhook.contracts import Envelope, Message
from agentvoicebox.webhook.correlation import Correlated
from agentvoicebox.webhook.dispatch import Dispatch
from agentvoicebox.webhook.guard import Guard, Source, address_of
from agentvoicebox.webhook.keep import Keeper
from agentvoicebox.webhook.masking import event_name
from agentvoicebox.webhook.metrics import HotlineMetrics
from agentvoicebox.webhook.reading import decode, read_body
from agentvoicebox.webhook.refusal import NotAccepted, unprocessable
from agentvoicebox.webhook.render import as_json
from agentvoicebox.webhook.vapi import ANSWERED, KNOWN, Vapi
from agentvoicebox_delivery.sources.look_up import LookUp
from agentvoicebox_delivery.sources.sanity_webhook import HEADER as SANITY_HEADER
from agentvoicebox_delivery.sources.sanity_webhook import changed_ids
from agentvoicebox_delivery.tool import DEFINITION

VAPI_PATH = "/vapi/webhook"
TRACK_PATH = "/v1/track"
SANITY_PATH = "/sanity/webhook"
DOORS = {VAPI_PATH: "vapi", TRACK_PATH: "track", SANITY_PATH: "sanity"}


@dataclass(frozen=True)
class Hotline:
    """What the doors share.

    Attributes:
        vapi_guard, track_guard: who may come in by which door; REST has one for all its routes.
        limit: requests that want an answer, of one source.
        notice_limit: messages that want none. A call sends dozens; they must not use up its tool calls.
        sanity_secret: "" closes Sanity's door.
        trusted_proxy_header: "" when no proxy of ours stands before us.
        recording: of what is asked and answered; None: nothing is kept.
    """

    vapi: Vapi
    dispatch: Dispatch
    look_up: LookUp
    metrics: HotlineMetrics
    vapi_guard: Guard
    track_guard: Guard
    limit: SlidingWindow
    notice_limit: SlidingWindow
    sanity_secret: str = ""
    trusted_proxy_header: str = ""
    clock: Clock = SystemClock()  # noqa: RUF009 (has no state)
    recording: Recording | None = None


def create_app(hotline: Hotline) -> FastAPI:
    """The ASGI application of the public port."""
    app = FastAPI(
        title="AgentVoiceBox hotline", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    tools = [(to_rest(each.definition), each.definition) for each in hotline.dispatch.registry.all()]
    doors = DOORS | {route.path: "tools" for route, _ in tools}
    app.add_middleware(Correlated, doors=doors, metrics=hotline.metrics)
    _add_errors(app)
    keeper = Keeper(hotline.recording, hotline.clock)

    @app.post(VAPI_PATH, summary="Messages of Vapi; answers tool calls")
    async def vapi_webhook(request: Request) -> Response:
        body = await read_body(request)
        source = _admit(hotline, hotline.vapi_guard, request, body)
        try:
            message = _message(body)
        except NotAccepted as refused:
            _count(hotline.limit, source)
            keeper.keep(request, body, refused.status, as_json(refused.body), door="webhook")
            raise
        _note(request, source, message_type=event_name(message.type, KNOWN))
        hotline.metrics.message_read(message.type or "")
        wants_answer = message.type in ANSWERED or not message.type
        _count(hotline.limit if wants_answer else hotline.notice_limit, source)
        hotline.vapi_guard.taken(source)
        if not wants_answer:
            return _json(await hotline.vapi.answer(message))
        keep = partial(keeper.keep, request, body, door="webhook", call_id=message.conversation_id or "")
        try:
            answer = as_json(await hotline.vapi.answer(message))
        except NotAccepted as refused:
            keep(refused.status, as_json(refused.body))
            raise
        keep(200, answer)
        return Response(answer, media_type="application/json")

    @app.post(TRACK_PATH, summary="Where is this parcel?")
    async def track_parcel(request: Request) -> Response:
        return await rest_answer(request, rest.track_parcel, DEFINITION)

    async def rest_answer(
        request: Request, door: Callable[[Dispatch, Definition, dict[str, Any]], Awaitable[rest.Told]], tool: Definition
    ) -> Response:
        body = await read_body(request)
        source = _admit(hotline, hotline.track_guard, request, body)
        _note(request, source)
        _count(hotline.limit, source)
        hotline.track_guard.taken(source)
        try:
            told = await door(hotline.dispatch, tool, decode(body))
        except NotAccepted as refused:
            keeper.keep(request, body, refused.status, as_json(refused.body), door="rest")
            raise
        answer = as_json(told.answer)
        keeper.keep(request, body, 200, answer, door="rest", tool=tool.name, arguments=told.arguments)
        return Response(answer, media_type="application/json")

    def add_tool(path: str, method: str, operation: dict[str, Any], tool: Definition) -> None:
        async def run_tool(request: Request) -> Response:
            return await rest_answer(request, rest.run_tool, tool)

        app.add_api_route(path, run_tool, methods=[method], openapi_extra=operation)

    for route, definition in tools:
        add_tool(route.path, route.method, route.operation, definition)

    if hotline.sanity_secret:

        @app.post(SANITY_PATH, summary="Sanity's webhook: these parcels have changed")
        async def sanity_webhook(request: Request) -> Response:
            body = await read_body(request)
            _count(hotline.notice_limit, Source(f"sanity {_address(hotline, request)}", "sanity"))
            signature = request.headers.get(SANITY_HEADER)
            ids = changed_ids(body, signature, hotline.sanity_secret, wall_s=hotline.clock.wall_s())
            forgotten = [hotline.look_up.forget(each) for each in ids] or [hotline.look_up.forget()]
            return _json({"forgotten": sum(forgotten)})

    return app


def _admit(hotline: Hotline, guard: Guard, request: Request, body: bytes) -> Source:
    """Who asks. Wrong credentials count against the address, so that nobody can try them without end."""
    address = _address(hotline, request)
    try:
        return guard.check(request.scope["headers"], request.method, body, address)
    except BadCredentials:
        _count(hotline.limit, Source(f"refused {address}", "refused"))
        raise


def _address(hotline: Hotline, request: Request) -> str:
    peer = request.client.host if request.client else ""
    return address_of(peer, request.headers, hotline.trusted_proxy_header)


def _count(limit: SlidingWindow, source: Source) -> None:
    verdict = limit.admit(source.key)
    if not verdict.is_admitted:
        raise RateLimited("Too many requests; see Retry-After.", retry_after_s=verdict.retry_after_s)


def _message(body: bytes) -> Message:
    try:
        message = Envelope.model_validate(decode(body)).message
    except ValidationError as error:  # whatever a tolerant model still can't take; never with the value in it
        details = [{"type": each["type"], "loc": ["body", *each["loc"]], "msg": each["msg"]} for each in error.errors()]
        raise NotAccepted(422, "unprocessable", "The message can't be read.", details=details) from None
    if message is None:
        raise unprocessable("missing", ["body", "message"], "The body has no message object.")
    return message


def _note(request: Request, source: Source, **fields: Any) -> None:
    """For the request's line in the log."""
    request.state.noted.update(fields, source=source.kind)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(NotAccepted)
    async def not_accepted(request: Request, error: NotAccepted) -> Response:
        return _json(error.body, error.status, error.headers)

    @app.exception_handler(InvalidEvent)
    async def invalid(request: Request, error: InvalidEvent) -> Response:
        refusal = unprocessable("json_invalid", ["body"], error.message)
        return _json(refusal.body, refusal.status)

    @app.exception_handler(BadCredentials)
    async def unauthorized(request: Request, error: BadCredentials) -> Response:
        return _error(401, "invalid_credentials", error.message, {"WWW-Authenticate": "Bearer"})

    @app.exception_handler(RateLimited)
    async def limited(request: Request, error: RateLimited) -> Response:
        return _error(429, error.code, error.message, {"Retry-After": str(int(error.retry_after_s))})

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        return _error(error.status_code, code, error.detail, dict(error.headers or {}))


def _error(status: int, code: str | None, message: str, headers: dict[str, str]) -> Response:
    body = {"error": {"code": code, "message": message, "type": "invalid_request_error"}}
    return _json(body, status, headers)


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(as_json(body), status, headers, media_type="application/json")
