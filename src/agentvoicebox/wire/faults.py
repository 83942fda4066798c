"""The one factory of everything a client is told when something goes wrong, and the catalogue of what it may be told.

An error becomes the body of an `error` event, or the answer of a REST route, here and nowhere else. `CATALOGUE` lists each
code with where it is shown, when it comes and what to do; `docs/reference/errors.md` is written from it, and a test reaches
every entry from outside.
"""

import math
from typing import Literal

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

Place = Literal["event", "connect", "close", "result", "http"]
PLACES: dict[Place, str] = {
    "event": "an `error` event; nothing else changes, and the session goes on",
    "connect": "one `error` event after the upgrade, then the close code; the reason is `type.code`",
    "close": "one `error` event in mid-session, then the close code",
    "result": "`response.done` (`status_details.error`) or `…input_audio_transcription.failed`; the session goes on",
    "http": 'a REST answer, `{"error": {…}}` with the status',
}
UNAUTHORIZED, FORBIDDEN, TOO_LARGE, TOO_MANY, UNAVAILABLE, BROKEN = 401, 403, 413, 429, 503, 500
NO_CREDENTIALS_CLOSE = 3000


class Fault(msgspec.Struct, frozen=True):
    """One entry of the catalogue.

    Attributes:
        code: `error.code`; None is a code, too (OpenAI gives a missing key none).
        error_type: `error.type`.
        ends: the close code (`connect`, `close`) or HTTP status (`http`); 0 elsewhere.
    """

    place: Place
    code: str | None
    error_type: str
    when: str
    do: str
    ends: int = 0


def _event(code: str, when: str, do: str) -> Fault:
    return Fault("event", code, "invalid_request_error", when, do)


def _result(code: str, when: str, do: str) -> Fault:
    return Fault("result", code, "server_error", when, do)


def _http(code: str, when: str, do: str, status: int) -> Fault:
    return Fault("http", code, "invalid_request_error", when, do, status)


CATALOGUE: tuple[Fault, ...] = (
    _event("invalid_json", "The frame is no JSON.", "Send one JSON object a text frame."),
    _event("invalid_event", "A binary frame, no object, no `type`, or far too large or deep.", "See the message."),
    _event("invalid_value", "A field, or the event's `type`, has a wrong value.", "`param` names it."),
    _event("unknown_parameter", "A field that nobody knows.", "Leave out what `param` names."),
    _event("missing_required_parameter", "A field is missing.", "Add what `param` names."),
    _event("integer_below_min_value", "A number is too small.", "`param` names it, the message the bound."),
    _event("invalid_parameter", "A change that is not allowed now.", "See the message."),
    _event("cannot_update_voice", "The voice is fixed once the assistant has spoken.", "Begin a new session."),
    _event(
        "conversation_already_has_active_response",
        "`response.create` while one is going on.",
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
    Fault("event", "rate_limit_exceeded", "rate_limit_error", "Too many events for now.", "Wait as the message says."),
    _event("conversation_too_long", "2,000 items.", "Delete some, or begin a new session."),
    Fault("connect", None, "invalid_request_error", "No key was shown.", "Send `Authorization: Bearer …`.", 3000),
    Fault("connect", "invalid_api_key", "invalid_request_error", "The key is not good.", "Check it.", 3000),
    Fault(
        "connect",
        "origin_not_allowed",
        "invalid_request_error",
        "A page of another site, while no keys are set up.",
        "Set up keys, or call from this machine.",
        1008,
    ),
    Fault("connect", "missing_model", "invalid_request_error", "The query names no model.", "Add `?model=`.", 4000),
    Fault("connect", "invalid_model", "invalid_request_error", "No such agent.", "See `GET /v1/models`.", 4000),
    Fault("connect", "call_not_found", "invalid_request_error", "`call_id` names no call.", "Leave it out.", 4000),
    Fault("connect", "invalid_value", "invalid_request_error", "A number in the query is none.", "Mend it.", 4000),
    Fault(
        "connect",
        "session_not_found",
        "invalid_request_error",
        "The session to come back to is over, or another's.",
        "Begin a new one.",
        4000,
    ),
    Fault(
        "connect", "account_deactivated", "invalid_request_error", "The tenant is suspended.", "Ask its owner.", 1008
    ),
    Fault(
        "connect", "insufficient_permissions", "invalid_request_error", "The key may not call.", "Use another.", 1008
    ),
    Fault("connect", "rate_limit_exceeded", "rate_limit_error", "Too many calls for now.", "Wait as told.", 1013),
    Fault("connect", "storage_lost", "server_error", "PostgreSQL, which holds the key, is away.", "Try again.", 1013),
    Fault("connect", "session_busy", "server_error", "Another connection takes it up just now.", "Try again.", 1013),
    Fault(
        "connect",
        "newer_format",
        "server_error",
        "A newer gateway wrote the session to come back to; this one can't read it.",
        "Try again: another gateway goes on with it.",
        1013,
    ),
    Fault("connect", "overloaded", "server_error", "All lines are busy, or work waits.", "Try again in seconds.", 1013),
    Fault(
        "connect", "store_unavailable", "server_error", "The store takes nothing new.", "Try again in seconds.", 1013
    ),
    Fault("connect", "broker_lost", "server_error", "The store is away.", "Try again in seconds.", 1013),
    Fault("connect", "shutting_down", "server_error", "This gateway is going down.", "Try again at once.", 1013),
    Fault("close", "session_expired", "invalid_request_error", "An hour is over.", "Begin a new session.", 1001),
    Fault("close", "internal_error", "server_error", "A fault of ours.", "Begin a new session; tell us.", 1011),
    _result("provider_unavailable", "An engine can't be reached, and none stands in.", "Try again."),
    _result("provider_timeout", "An engine did not answer in time.", "Try again."),
    _result("provider_broke_off", "An engine broke off again and again.", "Try again."),
    _result("bad_provider_answer", "An engine refused, or what it said makes no sense.", "Look at the server's log."),
    _result("internal_error", "A worker failed again and again.", "Look at the server's log."),
    _result("worker_lost", "Each worker that took the job died.", "Look at the server's log."),
    _result("job_timeout", "No worker answered in time.", "Try again."),
    _result("broker_lost", "The store is away, or refuses writes.", "Try again; see `degraded` of the session."),
    _result("speech_recognition_unavailable", "Nobody turns speech into text.", "Type, until `degraded` is empty."),
    _result("language_model_unavailable", "No language worker is there.", "Wait until `degraded` is empty."),
    Fault("http", None, "invalid_request_error", "No key was shown.", "Send `Authorization: Bearer …`.", UNAUTHORIZED),
    Fault("http", "invalid_api_key", "invalid_request_error", "The key is not good.", "Check it.", UNAUTHORIZED),
    Fault(
        "http",
        "origin_not_allowed",
        "invalid_request_error",
        "A page of another site, while no keys are set up.",
        "Set up keys, or call from this machine.",
        FORBIDDEN,
    ),
    _http("invalid_json", "The body is no JSON.", "Send one JSON object.", 400),
    _http("invalid_value", "A field or parameter has a wrong value.", "`param` names it.", 400),
    _http("integer_above_max_value", "A number is too great.", "`param` names it, the message the bound.", 400),
    _http("unknown_parameter", "A field that nobody knows.", "Leave out what `param` names.", 400),
    _http("missing_required_parameter", "A field is missing.", "Add what `param` names.", 400),
    _http("invalid_model", "No such agent.", "See `GET /v1/models`.", 400),
    _http("project_not_found", "The tenant has no such project.", "Make it first.", 400),
    _http("insufficient_permissions", "The key may not do this.", "Use one with the right.", FORBIDDEN),
    _http("account_deactivated", "The tenant is suspended.", "Ask its owner.", FORBIDDEN),
    _http("tenant_not_found", "No such tenant, or another's.", "See `GET /v1/admin/tenants`.", 404),
    _http("key_not_found", "No such key.", "See the tenant's keys.", 404),
    _http("tenant_exists", "There is such a tenant.", "Choose another id.", 409),
    _http("own_tenant", "The key would shut itself out.", "Use another tenant's key.", 409),
    _http("request_too_large", "The body is too long.", "Send less.", TOO_LARGE),
    Fault("http", "rate_limit_exceeded", "rate_limit_error", "Too often.", "Wait for `Retry-After`.", TOO_MANY),
    Fault("http", "storage_lost", "server_error", "PostgreSQL is away.", "Try again in seconds.", UNAVAILABLE),
    Fault("http", "session_not_found", "invalid_request_error", "No such session.", "See `GET /v1/sessions`.", 404),
    Fault("http", "broker_lost", "server_error", "The store is away.", "Try again in seconds.", UNAVAILABLE),
)


def body_of(error: AgentVoiceBoxError, *, event_id: str | None = None) -> ErrorBody:
    """What an `error` event says. `event_id`: the client's own, of the event at fault, where the error has none."""
    param, own_id = (error.param, error.event_id) if isinstance(error, ClientError) else (None, None)
    return ErrorBody(
        type=error.error_type, code=error.code, message=error.message, param=param, event_id=own_id or event_id
    )


def status_of(error: AgentVoiceBoxError) -> int:
    """The HTTP status of an error, where a route does not know a better one."""
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
    """`Retry-After`, in whole seconds, where it is known when trying again makes sense."""
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
        "Written from `wire/faults.py`; `python -m agentvoicebox.wire.faults > docs/reference/errors.md` writes it again.",
        "",
        "Every error has `type`, `code`, `message`, `param` and `event_id`. `invalid_request_error` is the client's to mend,",
        "`rate_limit_error` and `server_error` may pass. Codes are stable; messages are for people.",
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
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
