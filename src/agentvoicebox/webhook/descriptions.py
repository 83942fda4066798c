"""The webhook server's public port as OpenAPI describes it: credentials, bodies, and every answer.

The bodies are those that `contracts` reads and `render` writes; platforms send more, which is ignored.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agentvoicebox.http_server.described import PUBLIC, Responses, answered, refusals
from agentvoicebox.kits.services import NoticeRoute
from agentvoicebox.tools.definition import Definition
from agentvoicebox.webhook.contracts import MOST_ITEMS

ABOUT = """Webhooks of hosted voice platforms, and the same tools over REST. Every answer has `X-Correlation-ID`: the sender's own
id where it is valid, otherwise a new one.

One kind of credential is enough, but every credential that a request shows must be valid. Without configured credentials only
requests of this machine are served. An address without a route is answered with 404, another method with 405."""

CREDENTIALS: dict[str, dict[str, Any]] = {
    "vapi-secret": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Vapi-Secret",
        "description": "One of AVB_VAPI_SECRETS.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "One of AVB_VAPI_BEARER_TOKENS; for tools also one of AVB_API_KEYS.",
    },
    "hmac": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Signature",
        "description": "HMAC-SHA256 with AVB_VAPI_HMAC_SECRET over `{timestamp}.{body}`, in hex; the time is in `X-Timestamp`. "
        "AVB_VAPI_HMAC_… set other headers and forms. A signature is accepted once, within five minutes.",
    },
    "retell": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Retell-Signature",
        "description": "`v=<ms>,d=<hex>`, made with AVB_RETELL_API_KEY; for tools only.",
    },
}


class FieldFault(BaseModel):
    """What is wrong with a field. Never contains its value."""

    type: str
    loc: list[str | int] = Field(description="Path of the field, beginning with `body`.")
    msg: str


class WebhookFaultBody(BaseModel):
    """The error."""

    code: str | None
    message: str
    type: str


class WebhookFault(BaseModel):
    """The answer to a refused request."""

    model_config = ConfigDict(extra="allow")

    error: WebhookFaultBody


class Unprocessable(WebhookFault):
    """The answer to a body that can't be used."""

    detail: list[FieldFault] = Field(min_length=1)


class OutcomeBody(BaseModel):
    """The outcome of a tool."""

    status: str = Field(description="In one word, such as `success`, `error`, `stale`, `invalid`.")
    code: str = Field(description="For programs.")
    speech: str = Field(description="A sentence to say, or empty.")
    data: dict[str, Any] = Field(description="Facts.")


class SpokenMessage(BaseModel):
    """What the platform says."""

    type: Literal["request-complete", "request-failed"]
    content: str


class VapiToolResult(BaseModel):
    """The result of a tool call: `result` or `error`."""

    toolCallId: str | int
    name: str
    result: str = Field(default="", description="One line of JSON: `status`, `code`, `speech`, `data`.")
    error: str = ""
    message: SpokenMessage


class VapiAnswer(BaseModel):
    """The answer to a message, by its type; `{}` to a notice."""

    results: list[VapiToolResult] = Field(default=[], description="To `tool-calls`: one for each call with an id.")
    result: str = Field(default="", description="To the legacy `function-call`.")
    assistantId: str = Field(default="", description="To `assistant-request`.")
    error: str = Field(
        default="", description="A sentence: to an `assistant-request` without an assistant, or a transfer."
    )
    documents: list[dict[str, Any]] = Field(default=[], description="To `knowledge-base-request`.")
    eligible: bool = Field(default=False, description="To `campaign.predial`.")


class NoticeAnswer(BaseModel):
    """What came of a notice; its kit says what."""

    model_config = ConfigDict(extra="allow")


_SAID = {
    401: "No credential, an invalid one, or a signature that is too old or was received before.",
    408: "The body did not come within five seconds.",
    413: "The body is longer than 2 MiB.",
    415: "Another content type than JSON in UTF-8, or a compressed body.",
    422: "The body is not JSON, or nothing in it can be answered; `detail` names the fields.",
    500: "The server failed.",
}
_REFUSED = refusals(401, 408, 413, 415, 429, 500, fault=WebhookFault, said=_SAID)
_UNUSABLE = refusals(422, fault=Unprocessable, said=_SAID)

VAPI_ANSWERS: Responses = {**_REFUSED, **_UNUSABLE, **answered(VapiAnswer, "The answer, by the type of the message.")}
TOOL_ANSWERS: Responses = {**_REFUSED, **_UNUSABLE}
ROUTE_ANSWERS: Responses = {**_REFUSED, **_UNUSABLE, **answered(OutcomeBody, "The outcome.")}
NOTICE_ANSWERS: Responses = {**_REFUSED, **_UNUSABLE, **answered(NoticeAnswer, "Done.")}

_OBJECT: dict[str, Any] = {"type": "object"}
_CALL: dict[str, Any] = {
    "type": "object",
    "description": "A call; its arguments are an object or JSON text.",
    "properties": {
        "id": {"type": ["string", "integer"]},
        "type": {"type": "string"},
        "function": {"type": "object", "properties": {"name": {"type": "string"}, "arguments": {}}},
    },
}
_MESSAGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "description": "`tool-calls`, or any other type of the platform's messages."},
        "call": {"type": "object", "properties": {"id": {"type": "string"}}},
        "chat": {"type": "object", "properties": {"id": {"type": "string"}}},
        "toolCallList": {"type": "array", "maxItems": MOST_ITEMS, "items": _CALL},
        "toolCalls": {"type": "array", "maxItems": MOST_ITEMS, "items": _CALL},
        "toolWithToolCallList": {"type": "array", "maxItems": MOST_ITEMS, "items": _OBJECT},
        "functionCall": {"type": "object", "description": "Of the legacy type `function-call`."},
    },
}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


VAPI = _body({"type": "object", "properties": {"message": _MESSAGE}, "required": ["message"]})


def route_body(tool: Definition) -> dict[str, Any]:
    """The body of a kit's own route of a tool: the arguments, or the arguments in `args`, as Retell sends them."""
    wrapped = {"type": "object", "properties": {"args": tool.parameters}, "required": ["args"]}
    return _body({"anyOf": [tool.parameters, wrapped]})


def notice(route: NoticeRoute) -> dict[str, Any]:
    """A kit's notice route: it checks its sender by itself, mostly by a signature."""
    return {**_body(_OBJECT), **PUBLIC}
