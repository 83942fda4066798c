"""The body of an offer of WebRTC: SDP alone, or a form with `sdp` and, as JSON, `session` (realtime-protocol §9).

Browsers send a form's parts without types, OpenAI's clients with types; both are read. A body of any other type counts as SDP.
"""

from typing import Any

import msgspec
from fastapi import Request
from python_multipart.multipart import parse_options_header

from agentvoicebox.errors import UNREADABLE, BodyTooLarge, ClientError
from agentvoicebox.gateway.http.form import read_form
from agentvoicebox.gateway.media.role_answers import InvalidOffer
from agentvoicebox.wire import checks

MAX_SDP_BYTES = 64 * 1024  # a browser's offer of one audio track has 2 to 8 KiB
MAX_SESSION_BYTES = 256 * 1024  # as everywhere else
FORM = b"multipart/form-data"


class CallOffer(msgspec.Struct, frozen=True):
    """What a client offers. `session`: None when it sent none."""

    sdp: str
    session: dict[str, Any] | None = None


async def read_offer(request: Request) -> CallOffer | None:
    """The offer; None when there is no body.

    Raises:
        ClientError: it can't be an offer, or the session is no JSON object. BodyTooLarge.
    """
    sdp, session = bytearray(), None

    async def take(data: bytes) -> None:
        sdp.extend(data)
        if len(sdp) > MAX_SDP_BYTES:
            raise BodyTooLarge(f"The offer may hold {MAX_SDP_BYTES // 1024} KiB.")

    if parse_options_header(request.headers.get("content-type", ""))[0] == FORM:
        most = MAX_SDP_BYTES + MAX_SESSION_BYTES + 16 * 1024
        fields = await read_form(request, "sdp", take, most_bytes=most, most_fields_bytes=MAX_SESSION_BYTES)
        session = _session_in(fields.get("session", []))
    else:
        async for chunk in request.stream():
            await take(chunk)
        if not sdp.strip():
            return None
    return CallOffer(_text_of(bytes(sdp)), session)


def _text_of(sdp: bytes) -> str:
    try:
        text = sdp.decode()
    except UnicodeDecodeError as error:
        raise InvalidOffer("The offer is not UTF-8.") from error
    if not text.startswith("v=") or "\0" in text:
        raise InvalidOffer(
            "The offer is not SDP: send the text of `createOffer()` as application/sdp, or as the field 'sdp' of a form."
        )
    if "\nm=audio " not in text:
        raise InvalidOffer("The offer has no audio: add the microphone's track before `createOffer()`.")
    return text


def _session_in(values: list[str]) -> dict[str, Any] | None:
    if len(values) > 1:
        raise checks.fault("The form has more than one 'session'.", "invalid_value", "session")
    if not values or not values[0].strip():
        return None
    try:
        value = msgspec.json.decode(values[0])
    except UNREADABLE as error:
        raise ClientError("The field 'session' is not valid JSON.", code="invalid_json", param="session") from error
    return None if value is None else checks.read_object(value, "session")
