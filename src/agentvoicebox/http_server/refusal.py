"""What a connection that is refused by the server itself gets: one typed error, in the form of all errors, and little time."""

import msgspec

REFUSED_CLOSE_S = 1.0  # for a client that was not admitted to close; then the connection is aborted


def error_body(code: str, message: str) -> bytes:
    """`{"error": {…}}` as JSON, like the answers of REST routes (`wire.faults.body_of`)."""
    return msgspec.json.encode(
        {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    )
