"""The JSON body of a request."""

import msgspec
from fastapi import Request

from agentvoicebox.errors import UNREADABLE, BodyTooLarge, ClientError

MAX_BODY_BYTES = 256 * 1024  # instructions, tools or a text to be spoken are a few KiB


async def read_json(request: Request) -> object:
    """The parsed body; None when it is empty. Raises ClientError, BodyTooLarge before all of a long one is read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"The body may hold {MAX_BODY_BYTES // 1024} KiB.")
    if not body.strip():
        return None
    try:
        return msgspec.json.decode(bytes(body))
    except UNREADABLE as error:
        raise ClientError("The body is not valid JSON.", code="invalid_json") from error
