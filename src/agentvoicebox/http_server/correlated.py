"""A correlation id for each HTTP request: in its log lines, in those of its workers, and in its answer."""

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentvoicebox.telemetry.logs import bound, sane_id

HEADER = "X-Correlation-ID"
ALSO_HEADER = "X-Request-ID"  # OpenAI's clients show it


class Correlated:
    """ASGI middleware. A WebSocket passes: a call has an id of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = correlation_of(Headers(scope=scope))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                put_id(message, correlation_id)
            await send(message)

        with bound(correlation_id=correlation_id):
            await self._app(scope, receive, send_with_id)


def correlation_of(headers: Headers) -> str:
    """The sender's id for this request if it is valid, else a new one."""
    for name in (HEADER, ALSO_HEADER):
        if given := sane_id(headers.get(name, "")):
            return given
    return secrets.token_hex(16)


def put_id(start: Message, correlation_id: str) -> None:
    """Put the id into the headers of an answer, given its first message."""
    headers = MutableHeaders(scope=start)
    headers[HEADER] = correlation_id
    headers[ALSO_HEADER] = correlation_id
