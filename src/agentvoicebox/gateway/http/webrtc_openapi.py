"""The bodies of the routes of WebRTC calls, as OpenAPI describes them. `call_offer` reads them, `docs/webrtc.md` explains."""

from typing import Any

from agentvoicebox.gateway.http.call_offer import MAX_SDP_BYTES
from agentvoicebox.http_server.described import Responses

SDP_TYPE = "application/sdp"
_SDP: dict[str, Any] = {"type": "string", "maxLength": MAX_SDP_BYTES}
_SESSION = {"type": "string", "contentMediaType": "application/json", "description": "The first `session.update`."}

OFFER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            SDP_TYPE: {"schema": _SDP},
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"sdp": _SDP, "session": _SESSION}, "required": ["sdp"]}
            },
        },
    }
}
OFFER_ANSWER: Responses = {
    201: {
        "description": "The call has begun; the body is the answer of SDP.",
        "content": {SDP_TYPE: {"schema": {"type": "string"}}},
        "headers": {
            "Location": {
                "description": "`/v1/realtime/calls/{call_id}`.",
                "required": True,
                "schema": {"type": "string"},
            }
        },
    }
}
HANGUP_ANSWER: Responses = {
    200: {"description": "The call is over.", "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}}}
}
NO_WEBRTC = {404: "WebRTC is not served here."}
NO_CALL = {404: "There is no such call, or it belongs to another tenant."}
