"""What a connection that is refused by the server itself gets: one typed error, in the form of all errors, and little time."""

import msgspec
from starlette.types import Scope, Send

REFUSED_CLOSE_S = 1.0  # for a client that was not admitted to close; then the connection is aborted


def error_body(code: str, message: str, *, error_type: str = "invalid_request_error") -> bytes:
    """`{"error": {…}}` as JSON, like the answers of REST routes (`wire.faults.body_of`)."""
    return msgspec.json.encode({"error": {"message": message, "type": error_type, "param": None, "code": code}})


async def send_refusal(scope: Scope, send: Send, status: int, code: str, message: str) -> None:
    """Answer a request, or an upgrade, with a typed error. A page can't read more of a refused upgrade than its status."""
    body = error_body(code, message)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
