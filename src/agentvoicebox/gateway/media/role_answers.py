"""What the `webrtc` roles answer, read as what it may be: an answer of SDP, a refusal, or neither."""

from typing import Any

import msgspec

from agentvoicebox.errors import (
    UNREADABLE,
    AgentVoiceBoxError,
    ClientError,
    InfrastructureError,
    Overloaded,
    RateLimited,
)

CREATED, NO_CONTENT, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY, UNAVAILABLE = (
    201, 204, 400, 401, 403, 404, 429, 503
)  # fmt: skip
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
    """The error with which a role answered, for the gateway's client. A role's own troubles are ours, not the client's."""
    if status in (UNAUTHORIZED, FORBIDDEN):
        return WebRtcUnavailable("The process that carries WebRTC calls refuses this gateway; its operator must act.")
    if status not in (BAD_REQUEST, TOO_MANY, UNAVAILABLE):
        return WebRtcUnavailable("The process that carries WebRTC calls failed; please try again.")
    try:
        fault = _decoded(body, _Refusal).error
    except WebRtcUnavailable as error:
        return error
    message, code = fault.message[:MAX_MESSAGE_CHARS], (fault.code or "")[:MAX_CODE_CHARS] or None
    if status == BAD_REQUEST:
        return ClientError(message, code=code or "invalid_offer", param=fault.param and fault.param[:MAX_CODE_CHARS])
    if status == TOO_MANY or fault.type == RateLimited.error_type:
        return RateLimited(message, code=code, retry_after_s=RETRY_AFTER_S)
    return Overloaded(message, code=code, retry_after_s=RETRY_AFTER_S)


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise WebRtcUnavailable(
            "The process that carries WebRTC calls gave no valid answer; its log says why."
        ) from error
