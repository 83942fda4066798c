"""The catalogue of all errors that a client may receive, and the one factory of their wire form.

An error becomes the body of an `error` event, or the answer of a REST route, here and nowhere else. `CATALOGUE` lists each
code with its place, its cause and its remedy; `docs/reference/errors.md` is generated from it, and a test provokes
every entry from outside.
"""

import math
from typing import Any, Literal

import msgspec

from agentvoicebox.errors import (
    AgentVoiceBoxError,
    BadCredentials,
    BodyTooLarge,
    ClientError,
    Overloaded,
    RateLimited,
    Refused,
)
from agentvoicebox.wire.server_events import ErrorBody
from agentvoicebox.wire.session_note import NOTES

Place = Literal["event", "connect", "close", "result", "channel", "http"]
PLACES: dict[Place, str] = {
    "event": "an `error` event; nothing else changes, and the session continues",
    "connect": "one `error` event after the upgrade, then the close code; the reason is `type.code`",
    "close": "one `error` event during the session, then the close code",
    "result": "`response.done` (`status_details.error`) or `…input_audio_transcription.failed`; the session continues",
    "channel": "an `error` event on the data channel of a call by WebRTC, which then ends",
    "http": 'the answer of a REST route, or of an upgrade that is refused, `{"error": {…}}` with the status',
}
UNAUTHORIZED, FORBIDDEN, TOO_LARGE, TOO_MANY, UNAVAILABLE, BROKEN = 401, 403, 413, 429, 503, 500
NO_CREDENTIALS_CLOSE = 3000


class ErrorDefinition(msgspec.Struct, frozen=True):
    """One entry of the catalogue.

    Attributes:
        code: `error.code`; None is a valid code (OpenAI sends none for a missing key).
        error_type: `error.type`.
        ends: the close code (`connect`, `close`) or HTTP status (`http`); 0 elsewhere.
    """

    place: Place
    code: str | None
    error_type: str
    when: str
    do: str
    ends: int = 0


def _event(code: str, when: str, do: str) -> ErrorDefinition:
    return ErrorDefinition("event", code, "invalid_request_error", when, do)


def _result(code: str, when: str, do: str) -> ErrorDefinition:
    return ErrorDefinition("result", code, "server_error", when, do)


def _channel(code: str, when: str, do: str) -> ErrorDefinition:
    return ErrorDefinition("channel", code, "server_error", when, do)


def _http(code: str, when: str, do: str, status: int) -> ErrorDefinition:
    return ErrorDefinition("http", code, "invalid_request_error", when, do, status)


def _unavailable(code: str, when: str, do: str) -> ErrorDefinition:
    return ErrorDefinition("http", code, "server_error", when, do, UNAVAILABLE)


CATALOGUE: tuple[ErrorDefinition, ...] = (
    _event("invalid_json", "The frame is not valid JSON.", "Send one JSON object per text frame."),
    _event("invalid_event", "A binary frame, no object, no `type`, or far too large or deep.", "See the message."),
    _event("invalid_value", "A field, or the event's `type`, has a wrong value.", "`param` names it."),
    _event("unknown_parameter", "An unknown field.", "Leave out what `param` names."),
    _event("missing_required_parameter", "A field is missing.", "Add what `param` names."),
    _event("integer_below_min_value", "A number is too small.", "`param` names it, the message the bound."),
    _event("string_above_max_length", "A text or an id is too long.", "`param` names it, the message the bound."),
    _event("array_above_max_length", "There are too many elements.", "`param` names it, the message the bound."),
    _event("invalid_parameter", "A change that is not allowed now.", "See the message."),
    _event("cannot_update_voice", "The voice is fixed once the assistant has spoken.", "Begin a new session."),
    _event(
        "conversation_already_has_active_response",
        "`response.create` during an active response.",
        "Wait for `response.done`.",
    ),
    _event("response_cancel_not_active", "There is nothing to cancel.", "Nothing: it was over already."),
    _event("input_audio_buffer_commit_empty", "Less than 100 ms of audio was committed.", "Append more first."),
    _event("item_create_invalid_previous_item_id", "`previous_item_id` names no item.", "Use a known id or `root`."),
    _event("item_create_duplicate_item_id", "There is an item with this id.", "Choose another id."),
    _event("item_retrieve_invalid_item_id", "No such item.", "Use an id from `conversation.item.added`."),
    _event("item_truncate_invalid_item_id", "No such item.", "Use an id from `conversation.item.added`."),
    _event("item_delete_invalid_item_id", "No such item.", "Use an id from `conversation.item.added`."),
    _event("invalid_tool_call_id", "A tool's output for a call that was not made.", "Use the `call_id` of the call."),
    ErrorDefinition(
        "event", "rate_limit_exceeded", "rate_limit_error", "Too many events for now.", "Wait as the message says."
    ),
    _event(
        "event_too_large", "More than 512 KiB, and not an append.", "Send less; append audio instead of items of it."
    ),
    _event("conversation_too_long", "2,000 items, or 4 MiB of text.", "Delete some, or begin a new session."),
    _event("too_many_responses", "Too many responses beside the conversation.", "Wait for one to end."),
    ErrorDefinition(
        "event",
        "store_full",
        "server_error",
        "The store is nearly full: only what finishes a turn is accepted.",
        "Send it again when `degraded` no longer lists it.",
    ),
    ErrorDefinition("connect", "invalid_api_key", "invalid_request_error", "The key is invalid.", "Check it.", 3000),
    ErrorDefinition(
        "connect", "missing_model", "invalid_request_error", "The query names no model.", "Add `?model=`.", 4000
    ),
    ErrorDefinition(
        "connect", "invalid_model", "invalid_request_error", "No such agent.", "See `GET /v1/models`.", 4000
    ),
    ErrorDefinition(
        "connect",
        "model_not_configured",
        "invalid_request_error",
        "The agent has no language model.",
        "Set what the message names, or use another agent.",
        4000,
    ),
    ErrorDefinition(
        "connect",
        "call_not_found",
        "invalid_request_error",
        "`call_id` names no call by WebRTC, or one of another tenant.",
        "Use the last part of `Location`, while the call lasts.",
        4000,
    ),
    ErrorDefinition(
        "connect",
        "webrtc_unavailable",
        "server_error",
        "The process that carries the call of `call_id` can't be reached, or failed.",
        "Try again in seconds.",
        1013,
    ),
    ErrorDefinition(
        "connect", "invalid_value", "invalid_request_error", "A number in the query is invalid.", "Correct it.", 4000
    ),
    ErrorDefinition(
        "connect",
        "session_not_found",
        "invalid_request_error",
        "The session to resume has ended, or belongs to another tenant.",
        "Start a new one.",
        4000,
    ),
    ErrorDefinition(
        "connect", "account_deactivated", "invalid_request_error", "The tenant is suspended.", "Ask its owner.", 1008
    ),
    ErrorDefinition(
        "connect", "insufficient_permissions", "invalid_request_error", "The key may not call.", "Use another.", 1008
    ),
    ErrorDefinition(
        "connect",
        "rate_limit_exceeded",
        "rate_limit_error",
        "Too many calls for now.",
        "Wait as the message says.",
        1013,
    ),
    ErrorDefinition(
        "connect",
        "too_many_wrong_credentials",
        "rate_limit_error",
        "No key, or an invalid one, from an address that has shown too many.",
        "Check the key; wait as the message says.",
        1013,
    ),
    ErrorDefinition(
        "connect",
        "storage_lost",
        "server_error",
        "PostgreSQL, which holds the key, is unavailable.",
        "Try again.",
        1013,
    ),
    ErrorDefinition(
        "connect", "session_busy", "server_error", "Another connection is resuming it.", "Try again.", 1013
    ),
    ErrorDefinition(
        "connect",
        "newer_format",
        "server_error",
        "A newer gateway wrote the session to resume; this one can't read it.",
        "Try again: another gateway resumes it.",
        1013,
    ),
    ErrorDefinition(
        "connect",
        "overloaded",
        "server_error",
        "The server is at capacity, or jobs wait.",
        "Try again in seconds.",
        1013,
    ),
    ErrorDefinition(
        "connect", "store_unavailable", "server_error", "The store accepts no writes.", "Try again in seconds.", 1013
    ),
    ErrorDefinition("connect", "store_full", "server_error", "The store is filling up.", "Try again in seconds.", 1013),
    ErrorDefinition(
        "connect", "broker_lost", "server_error", "The store is unavailable.", "Try again in seconds.", 1013
    ),
    ErrorDefinition(
        "connect", "shutting_down", "server_error", "This gateway is shutting down.", "Try again at once.", 1013
    ),
    ErrorDefinition(
        "close",
        "session_expired",
        "invalid_request_error",
        "The session is one hour old.",
        "Start a new session.",
        1001,
    ),
    ErrorDefinition(
        "close",
        "session_idle",
        "invalid_request_error",
        "The client has sent nothing since the session began.",
        "Start a session when it is needed.",
        1001,
    ),
    ErrorDefinition(
        "close", "internal_error", "server_error", "A bug in the server.", "Start a new session; report it.", 1011
    ),
    _result("provider_unavailable", "An engine can't be reached, and there is no fallback.", "Try again."),
    _result("provider_timeout", "An engine did not answer in time.", "Try again."),
    _result("provider_broke_off", "An engine ended its answer early, repeatedly.", "Try again."),
    _result("bad_provider_answer", "An engine refused, or its answer is invalid.", "See the server's log."),
    _result("empty_answer", "The language model answered without a word, twice.", "See the server's log."),
    _result("audio_lost", "The audio of an item was lost with its gateway.", "Create the item again."),
    _result(
        "prompt_too_long",
        "Instructions and tools alone, or a conversation that may not be truncated, are longer than the model's context.",
        "Shorten them, or set the session's `truncation` to `auto`.",
    ),
    _result("internal_error", "Workers failed repeatedly.", "See the server's log."),
    _result("worker_lost", "Each worker that took the job died.", "See the server's log."),
    _result("conversation_too_long", "What a language model would read is beyond 8 MiB.", "Delete items."),
    _result("job_timeout", "No worker answered in time.", "Try again."),
    _result("broker_lost", "The store is unavailable, or refuses writes.", "Try again; see `degraded` of the session."),
    _result(
        "speech_recognition_unavailable", "No speech-to-text worker is available.", "Type, until `degraded` is empty."
    ),
    _result("language_model_unavailable", "No language worker is available.", "Wait until `degraded` is empty."),
    _channel("session_lost", "The session of the call is over, and can't be resumed.", "Call again."),
    _channel("shutting_down", "The process that carries the call is shutting down.", "Call again."),
    ErrorDefinition(
        "http", None, "invalid_request_error", "There is no key.", "Send `Authorization: Bearer …`.", UNAUTHORIZED
    ),
    ErrorDefinition(
        "http", "invalid_api_key", "invalid_request_error", "The key is invalid.", "Check it.", UNAUTHORIZED
    ),
    _http("origin_not_allowed", "A page of another site, while no keys are set up.", "Set up keys.", FORBIDDEN),
    _http("host_not_allowed", "Another name than localhost, while no keys are set up.", "Set up keys.", FORBIDDEN),
    _http("proxy_not_allowed", "It came through a proxy, while no keys are set up.", "Set up keys.", FORBIDDEN),
    _http("request_timeout", "The request did not come in time.", "Send it at once.", 408),
    _http("request_head_too_large", "Too many headers, or too long ones.", "Send fewer.", 431),
    _http("unknown_url", "No such route.", "See `/openapi.json` of the internal port.", 404),
    _http("method_not_allowed", "The route has no such method.", "See `/openapi.json` of the internal port.", 405),
    _http("upgrade_required", "A plain GET of the WebSocket's address.", "Have the proxy pass `Upgrade`.", 426),
    _http("bad_upgrade", "An upgrade that is none of WebSocket 13.", "See the message.", 400),
    _http("tls_required", "Plain HTTP at a port that speaks TLS.", "Use `https://` and `wss://`.", 400),
    _http(
        "webrtc_not_served",
        "An offer of WebRTC, where no process carries such calls.",
        "Use the WebSocket transport, or switch WebRTC on (docs/webrtc.md).",
        404,
    ),
    _http("invalid_offer", "The offer of WebRTC is not SDP, or has no audio.", "See the message.", 400),
    _http(
        "call_not_found",
        "No such call by WebRTC, or one of another tenant.",
        "Use the last part of `Location`, while the call lasts.",
        404,
    ),
    _http("sip_not_served", "A verb of a SIP call.", "Use WebRTC or the WebSocket transport.", 404),
    _http("model_not_found", "No such agent, or one without a language model.", "See `GET /v1/models`.", 404),
    _http("invalid_json", "The body is not valid JSON.", "Send one JSON object.", 400),
    _http("invalid_value", "A field or parameter has a wrong value.", "`param` names it.", 400),
    _http("integer_above_max_value", "A number is too large.", "`param` names it, the message the bound.", 400),
    _http("string_above_max_length", "A text is too long.", "`param` names it, the message the bound.", 400),
    _http("array_above_max_length", "There are too many elements.", "`param` names it, the message the bound.", 400),
    _http("unknown_parameter", "An unknown field.", "Leave out what `param` names.", 400),
    _http("missing_required_parameter", "A field is missing.", "Add what `param` names.", 400),
    _http("invalid_model", "No such agent.", "See `GET /v1/models`.", 400),
    _http(
        "model_not_configured",
        "The agent has no language model.",
        "Set what the message names, or use another agent.",
        400,
    ),
    _http("project_not_found", "The tenant has no such project.", "Create it first.", 400),
    _http("insufficient_permissions", "The key may not do this.", "Use a key with this right.", FORBIDDEN),
    _http("account_deactivated", "The tenant is suspended.", "Ask its owner.", FORBIDDEN),
    _http("tenant_not_found", "No such tenant, or no access to it.", "See `GET /v1/admin/tenants`.", 404),
    _http("key_not_found", "No such key.", "See the tenant's keys.", 404),
    _http("tenant_exists", "The tenant exists already.", "Choose another id.", 409),
    _http("own_tenant", "The key would suspend its own tenant.", "Use another tenant's key.", 409),
    _http("request_too_large", "The body is too long.", "Send less.", TOO_LARGE),
    ErrorDefinition(
        "http", "rate_limit_exceeded", "rate_limit_error", "Too many requests.", "Wait for `Retry-After`.", TOO_MANY
    ),
    ErrorDefinition(
        "http",
        "too_many_wrong_credentials",
        "rate_limit_error",
        "No key, or an invalid one, from an address that has shown too many.",
        "Check the key; wait for `Retry-After`.",
        TOO_MANY,
    ),
    ErrorDefinition(
        "http", "storage_lost", "server_error", "PostgreSQL is unavailable.", "Try again in seconds.", UNAVAILABLE
    ),
    ErrorDefinition("http", "internal_error", "server_error", "A bug in the server.", "Try again; report it.", BROKEN),
    ErrorDefinition(
        "http", "session_not_found", "invalid_request_error", "No such session.", "See `GET /v1/sessions`.", 404
    ),
    ErrorDefinition(
        "http", "broker_lost", "server_error", "The store is unavailable.", "Try again in seconds.", UNAVAILABLE
    ),
    _unavailable("overloaded", "The server is at capacity, or jobs wait.", "Wait for `Retry-After`."),
    _unavailable("store_unavailable", "The store accepts no writes.", "Wait for `Retry-After`."),
    _unavailable("store_full", "The store is filling up.", "Wait for `Retry-After`."),
    _unavailable("shutting_down", "This gateway is shutting down.", "Try again: another gateway answers."),
    _unavailable("speech_synthesis_unavailable", "No text-to-speech worker is available.", "Wait for `Retry-After`."),
    _unavailable("speech_recognition_unavailable", "No speech-to-text worker is available.", "Wait for `Retry-After`."),
    ErrorDefinition(
        "http",
        "too_many_calls",
        "rate_limit_error",
        "Every process that carries WebRTC calls has as many as it may.",
        "Wait for `Retry-After`.",
        TOO_MANY,
    ),
    _unavailable("gateway_unavailable", "The process that carries WebRTC calls reaches no gateway.", "Try again."),
    _unavailable("session_lost", "The session of a WebRTC call ended before the call began.", "Try again."),
    _unavailable("ice_timeout", "The STUN or TURN server of the deployment does not answer.", "Try again."),
    _unavailable(
        "webrtc_unavailable", "The process that carries WebRTC calls can't be reached, or failed.", "Try again."
    ),
    _unavailable("provider_unavailable", "An engine can't be reached, or died.", "Try again."),
    _unavailable("provider_timeout", "An engine did not answer in time.", "Try again."),
    _unavailable("worker_lost", "Each worker that took the job died.", "See the server's log."),
    _unavailable("job_timeout", "No worker answered in time.", "Try again."),
    ErrorDefinition(
        "http", "bad_provider_answer", "server_error", "An engine refused.", "See the server's log.", BROKEN
    ),
    ErrorDefinition(
        "http", "internal_error", "server_error", "Workers failed repeatedly.", "See the server's log.", BROKEN
    ),
)


def body_of(error: AgentVoiceBoxError, *, event_id: str | None = None) -> ErrorBody:
    """The wire form of an error. `event_id`: the client's own id of the invalid event, where the error has none."""
    param, own_id = (error.param, error.event_id) if isinstance(error, ClientError) else (None, None)
    return ErrorBody(
        type=error.error_type, code=error.code, message=error.message, param=param, event_id=own_id or event_id
    )


def rest_body_of(error: AgentVoiceBoxError) -> dict[str, Any]:
    """The same, for an answer of a REST route: no event caused it."""
    body: dict[str, Any] = msgspec.to_builtins(body_of(error))
    del body["event_id"]
    return body


def status_of(error: AgentVoiceBoxError) -> int:
    """The HTTP status of an error, unless the route has a more specific one."""
    match error:
        case RateLimited():
            return TOO_MANY
        case Overloaded():
            return UNAVAILABLE
        case BadCredentials():
            return UNAUTHORIZED
        case Refused():
            return UNAUTHORIZED if error.close_code == NO_CREDENTIALS_CLOSE else FORBIDDEN
        case BodyTooLarge():
            return TOO_LARGE
        case ClientError():
            return 400
        case _:
            return UNAVAILABLE if error.retryable else BROKEN


def headers_of(error: AgentVoiceBoxError) -> dict[str, str]:
    """`Retry-After`, in whole seconds, where the time of a useful retry is known."""
    match error:
        case RateLimited() | Overloaded():
            return {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))}
        case _:
            return {}


def page() -> str:
    """The catalogue as Markdown: docs/reference/errors.md."""
    lines = [
        "# Errors",
        "",
        "Generated from `wire/faults.py` by `python -m agentvoicebox.wire.faults > docs/reference/errors.md`.",
        "",
        "Every error has `type`, `code`, `message`, `param` and `event_id`. `invalid_request_error` is an error of the client,",
        "`rate_limit_error` and `server_error` may be temporary. Codes are stable; messages are for people.",
    ]
    for place, said in PLACES.items():
        ends = {"connect": "close code", "close": "close code", "http": "status"}.get(place)
        lines += ["", f"## {place.capitalize()}", "", f"Shown as {said}.", ""]
        lines += ["| code | type | when | what to do |" + (f" {ends} |" if ends else "")]
        lines += ["|---|---|---|---|" + ("---|" if ends else "")]
        for fault in CATALOGUE:
            if fault.place == place:
                code = "null" if fault.code is None else f"`{fault.code}`"
                row = f"| {code} | `{fault.error_type}` | {fault.when} | {fault.do} |"
                lines.append(row + (f" {fault.ends} |" if ends else ""))
    lines += [
        "",
        "## Notes",
        "",
        "What a client set and does not get, without an error: `notes` in `session.created` and `session.updated`, beside",
        "the settings. A note has `code`, `message` and `param` (the path of the field), and stays until the field is set again.",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| `{code}` | {meaning} |" for code, meaning in NOTES.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
