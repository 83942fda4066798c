"""The public port: `POST /vapi/webhook`, `/v1/tools/<name>`, and the routes of kits.

Decides the routes and the order of checks: content type and size, credential, limit, content.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import BadCredentials, RateLimited
from agentvoicebox.http_server.admit import admit
from agentvoicebox.http_server.described import Described
from agentvoicebox.interactions.recorder import InteractionRecorder
from agentvoicebox.kits.services import NoticeRoute, ToolRoute
from agentvoicebox.limits.memory import SlidingWindow
from agentvoicebox.limits.wrong_credentials import WrongCredentials
from agentvoicebox.request_source import source_of
from agentvoicebox.tools.definition import Definition
from agentvoicebox.tools.formats import to_rest
from agentvoicebox.webhook import descriptions, rest
from agentvoicebox.webhook.answer_recorder import AnswerRecorder
from agentvoicebox.webhook.contracts import Envelope, WebhookMessage
from agentvoicebox.webhook.correlation import CorrelationMiddleware
from agentvoicebox.webhook.dispatch import Dispatch
from agentvoicebox.webhook.error_answers import add_errors, json_response
from agentvoicebox.webhook.guard import Guard, Source
from agentvoicebox.webhook.masking import event_name
from agentvoicebox.webhook.metrics import WebhookMetrics
from agentvoicebox.webhook.reading import decode, read_body
from agentvoicebox.webhook.refusal import NotAccepted, unprocessable
from agentvoicebox.webhook.render import as_json
from agentvoicebox.webhook.vapi import ANSWERED, KNOWN, Vapi

VAPI_PATH = "/vapi/webhook"
VAPI_LABEL, TOOLS_LABEL = "vapi", "tools"  # of routes in metrics

Run = Callable[[dict[str, Any]], Awaitable[rest.RestAnswer]]


@dataclass(frozen=True)
class WebhookServer:
    """What the routes share.

    Attributes:
        vapi_guard, rest_guard: check the credentials of Vapi's route and of all REST routes.
        limit: limit of each source for requests that expect an answer.
        notice_limit: limit of each source for notices. A call sends dozens; they must not use up the limit for tool calls.
        wrong_credentials: limit of each address for requests without a valid credential.
        tool_routes, notice_routes: routes of kits.
        trusted_proxy_header: "" if the operator has no proxy in front.
        recorder: records requests and answers; None: nothing is recorded.
    """

    vapi: Vapi
    dispatch: Dispatch
    metrics: WebhookMetrics
    vapi_guard: Guard
    rest_guard: Guard
    limit: SlidingWindow
    notice_limit: SlidingWindow
    wrong_credentials: WrongCredentials
    tool_routes: tuple[ToolRoute, ...] = ()
    notice_routes: tuple[NoticeRoute, ...] = ()
    trusted_proxy_header: str = ""
    clock: Clock = SystemClock()  # noqa: RUF009 (has no state)
    recorder: InteractionRecorder | None = None


def create_app(server: WebhookServer) -> FastAPI:
    """The ASGI application of the public port."""
    app = Described("AgentVoiceBox webhook server", descriptions.ABOUT, port=8001, schemes=descriptions.CREDENTIALS)
    app.add_middleware(CorrelationMiddleware, labels=_labels(server), metrics=server.metrics)
    add_errors(app)
    recorder = AnswerRecorder(server.recorder, server.clock)
    _add_vapi(app, server, recorder)
    _add_tools(app, server, recorder)
    for notice in server.notice_routes:
        _add_notice(app, server, notice)
    return app


def _labels(server: WebhookServer) -> dict[str, str]:
    """Path → label of the route in metrics."""
    tools = (to_rest(each.definition).path for each in server.dispatch.registry.all())
    added = {each.path: each.label for each in server.tool_routes} | {
        each.path: each.label for each in server.notice_routes
    }
    return {VAPI_PATH: VAPI_LABEL, **dict.fromkeys(tools, TOOLS_LABEL), **added}


def _add_vapi(app: FastAPI, server: WebhookServer, recorder: AnswerRecorder) -> None:
    @app.post(
        VAPI_PATH,
        summary="Messages of Vapi; answers tool calls",
        tags=["vapi"],
        response_model=None,
        responses=descriptions.VAPI_ANSWERS,
        openapi_extra=descriptions.VAPI,
    )
    async def vapi_webhook(request: Request) -> Response:
        body = await read_body(request)
        source = _admit(server, server.vapi_guard, request, body)
        try:
            message = _message(body)
        except NotAccepted as refused:
            _count(server.limit, source)
            recorder.record(request, body, refused.status, as_json(refused.body), channel="webhook")
            raise
        _add_log_fields(request, source, message_type=event_name(message.type, KNOWN))
        server.metrics.message_read(message.type or "")
        wants_answer = message.type in ANSWERED or not message.type
        _count(server.limit if wants_answer else server.notice_limit, source)
        server.vapi_guard.remember_signatures(source)
        if not wants_answer:
            return json_response(await server.vapi.answer(message))
        record = partial(recorder.record, request, body, channel="webhook", call_id=message.conversation_id or "")
        try:
            answer = as_json(await server.vapi.answer(message))
        except NotAccepted as refused:
            record(refused.status, as_json(refused.body))
            raise
        record(200, answer)
        return Response(answer, media_type="application/json")


def _add_tools(app: FastAPI, server: WebhookServer, recorder: AnswerRecorder) -> None:
    def add(path: str, tool: Definition, run: Run, **options: Any) -> None:
        async def endpoint(request: Request) -> Response:
            body = await read_body(request)
            source = _admit(server, server.rest_guard, request, body)
            _add_log_fields(request, source)
            _count(server.limit, source)
            server.rest_guard.remember_signatures(source)
            record = partial(recorder.record, request, body, channel="rest")
            try:
                given = decode(body)
            except NotAccepted as refused:
                record(refused.status, as_json(refused.body))
                raise
            try:
                answered = await run(given)
            except NotAccepted as refused:
                ran: dict[str, Any] = (
                    {"tool": tool.name, "arguments": given, "outcome": refused.answer} if refused.answer else {}
                )
                record(refused.status, as_json(refused.body), **ran)
                raise
            answer = as_json(answered.body)
            record(200, answer, tool=tool.name, arguments=answered.arguments)
            return Response(answer, media_type="application/json")

        app.add_api_route(path, endpoint, methods=["POST"], name=_name_of(path), tags=["tools"], **options)

    for each in server.dispatch.registry.all():
        route = to_rest(each.definition)
        run = partial(rest.run_tool, server.dispatch, each.definition)
        answers = {**descriptions.TOOL_ANSWERS, **route.answers}
        add(route.path, each.definition, run, responses=answers, openapi_extra=route.operation)
    for added in server.tool_routes:
        tool = server.dispatch.registry.get(added.tool)
        if tool is not None:
            run = partial(rest.run_route, server.dispatch, added, tool.definition)
            about = {"summary": added.summary, "responses": descriptions.ROUTE_ANSWERS}
            add(added.path, tool.definition, run, openapi_extra=descriptions.route_body(tool.definition), **about)


def _add_notice(app: FastAPI, server: WebhookServer, route: NoticeRoute) -> None:
    async def endpoint(request: Request) -> Response:
        body = await read_body(request)
        _count(server.notice_limit, Source(f"{route.label} {_address(server, request)}", route.label))
        return json_response(route.handle(body, request.headers, server.clock.wall_s()))

    app.add_api_route(
        route.path,
        endpoint,
        methods=["POST"],
        name=_name_of(route.path),
        summary=route.summary,
        tags=["notices"],
        responses=descriptions.NOTICE_ANSWERS,
        openapi_extra=descriptions.notice(route),
    )


def _name_of(path: str) -> str:
    """Of a route, for the document: `/v1/track` is `v1_track`."""
    return re.sub(r"\W+", "_", path).strip("_")


def _admit(server: WebhookServer, guard: Guard, request: Request, body: bytes) -> Source:
    """Authenticate the sender. Wrong credentials are limited for each address."""
    address = _address(server, request)
    try:
        source = guard.check(request.scope["headers"], request.method, body, address)
    except BadCredentials:
        server.wrong_credentials.count(address)
        raise
    admit(request.scope)
    return source


def _address(server: WebhookServer, request: Request) -> str:
    peer = request.client.host if request.client else ""
    return source_of(peer, request.headers, server.trusted_proxy_header)


def _count(limit: SlidingWindow, source: Source) -> None:
    verdict = limit.admit(source.key)
    if not verdict.is_admitted:
        raise RateLimited("Too many requests; see Retry-After.", retry_after_s=verdict.retry_after_s)


def _message(body: bytes) -> WebhookMessage:
    try:
        message = Envelope.model_validate(decode(body)).message
    except ValidationError as error:  # the details never contain the values
        details = [{"type": each["type"], "loc": ["body", *each["loc"]], "msg": each["msg"]} for each in error.errors()]
        raise NotAccepted(422, "unprocessable", "The message has invalid fields.", details=details) from None
    if message is None:
        raise unprocessable("missing", ["body", "message"], "The body has no message object.")
    return message


def _add_log_fields(request: Request, source: Source, **fields: Any) -> None:
    """Add fields to the request's log line."""
    request.state.log_fields.update(fields, source=source.kind)
