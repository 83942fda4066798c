"""The JSON body of a request."""

import msgspec
from fastapi import Request

from agentvoicebox.errors import UNREADABLE, ClientError
from agentvoicebox.http_server.request_body import bounded_body

MAX_BODY_BYTES = 256 * 1024  # instructions, tools or a text to be spoken are a few KiB


async def read_json(request: Request) -> object:
    """The parsed body; None when it is empty. Raises ClientError, BodyTooLarge before all of a long one is read."""
    body = await bounded_body(request, MAX_BODY_BYTES)
    if not body.strip():
        return None
    try:
        return msgspec.json.decode(body)
    except UNREADABLE as error:
        raise ClientError("The body is not valid JSON.", code="invalid_json") from error
