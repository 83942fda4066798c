"""What the `webrtc` roles answer, read as what it may be: an answer of SDP, a refusal, or neither."""

from typing import Any

import msgspec

from agentvoicebox.errors import (
    UNREADABLE,
    AgentVoiceBoxError,
    BadCredentials,
    BodyTooLarge,
    ClientError,
    InfrastructureError,
    Overloaded,
    PolicyDenied,
    RateLimited,
)

CREATED, NO_CONTENT, NOT_FOUND, TOO_MANY = 201, 204, 404, 429
REFUSALS = (400, 401, 403, 413, TOO_MANY, 503)
INVALID_TOKEN = "invalid_token"  # this gateway's, not its client's
ELSEWHERE = ("too_many_calls", "shutting_down")  # another role may take the call
RETRY_AFTER_S = 5.0
MAX_CODE_CHARS, MAX_MESSAGE_CHARS = 64, 500
TOKEN_HINT = "the AVB_WEBRTC_TOKEN of this gateway is not the one of the role"


class WebRtcUnavailable(InfrastructureError):
    """The process that carries WebRTC calls can't be reached, or failed."""

    code = "webrtc_unavailable"


class WebRtcNotServed(ClientError):
    """No process here carries WebRTC calls."""

    code = "webrtc_not_served"

    def __init__(self) -> None:
        super().__init__(
            "WebRTC is not served here; use the WebSocket transport: ws:// or wss:// and the address /v1/realtime. The operator "
            "of this server switches WebRTC on as docs/webrtc.md says."
        )


class CallNotFound(ClientError):
    """No such call, or not for this caller: the answer does not say which."""

    code = "call_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such call here; it may be over.", param="call_id")


class InvalidOffer(ClientError):
    """The offer of SDP can't be answered."""

    code = "invalid_offer"

    def __init__(self, message: str) -> None:
        super().__init__(message, param="sdp")


class _Sdp(msgspec.Struct, frozen=True):
    sdp: str


class _Fault(msgspec.Struct, frozen=True):
    message: str
    type: str = "server_error"
    code: str | None = None
    param: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: _Fault


def read_sdp(body: bytes) -> str:
    """The SDP of an answered offer. Raises WebRtcUnavailable."""
    sdp: str = _decoded(body, _Sdp).sdp
    if not sdp.startswith("v="):
        raise WebRtcUnavailable("The process that carries WebRTC calls gave no valid answer; its log says why.")
    return sdp


def refusal_in(status: int, body: bytes) -> AgentVoiceBoxError:
    """The error with which a role answered, for the gateway's client: its own, or that of the gateway which has the session.

    A role's failures are ours, not the client's.
    """
    if status not in REFUSALS:
        return WebRtcUnavailable("The process that carries WebRTC calls failed; please try again.")
    try:
        fault = _decoded(body, _Refusal).error
    except WebRtcUnavailable as error:
        return error
    message, code = fault.message[:MAX_MESSAGE_CHARS], (fault.code or "")[:MAX_CODE_CHARS] or None
    if code == INVALID_TOKEN:
        return WebRtcUnavailable("The process that carries WebRTC calls refuses this gateway; its operator must act.")
    if status == TOO_MANY or fault.type == RateLimited.error_type:
        return RateLimited(message, code=code, retry_after_s=RETRY_AFTER_S)
    match status:
        case 401:
            return BadCredentials(message, code=code)
        case 403:
            return PolicyDenied(message, code=code)
        case 413:
            return BodyTooLarge(message, code=code)
        case 400:
            return ClientError(message, code=code, param=fault.param and fault.param[:MAX_CODE_CHARS])
        case _:
            return Overloaded(message, code=code, retry_after_s=RETRY_AFTER_S)


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise WebRtcUnavailable(
            "The process that carries WebRTC calls gave no valid answer; its log says why."
        ) from error
