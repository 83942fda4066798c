"""The body of a request, no more of it than is allowed. The connection bounds its time (`http_connection`)."""

from starlette.requests import Request

from agentvoicebox.errors import BodyTooLarge


async def bounded_body(request: Request, most_bytes: int) -> bytes:
    """All of the body.

    Raises:
        BodyTooLarge: it has more than `most_bytes`; the rest is not read.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise BodyTooLarge(f"The body may hold {most_bytes // 1024} KiB.")
    return bytes(body)
