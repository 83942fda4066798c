"""Middleware of every request: correlation id, log line, metrics, and the answer to an unexpected exception.

The log line contains route, status, milliseconds and the kind of credential, but no words, numbers or secrets of people.
"""

import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentvoicebox.http_server.correlated import correlation_of, put_id
from agentvoicebox.telemetry.logs import bound, get_logger
from agentvoicebox.webhook.metrics import WebhookMetrics
from agentvoicebox.webhook.render import as_json

log = get_logger(__name__)


class CorrelationMiddleware:
    """ASGI middleware.

    Args:
        labels: path → label of the route; other paths are `other`.

    Sets in a request's `state`: `correlation_id`, `began_s` (of `time.perf_counter`) and `log_fields`, fields of the log line.
    """

    def __init__(self, app: ASGIApp, *, labels: Mapping[str, str], metrics: WebhookMetrics) -> None:
        self._app = app
        self._labels = labels
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        correlation_id = correlation_of(Headers(scope=scope))
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                put_id(message, correlation_id)
            await send(message)

        state = scope.setdefault("state", {})
        state |= {"correlation_id": correlation_id, "began_s": began_s}
        log_fields: dict[str, Any] = state.setdefault("log_fields", {})
        with bound(correlation_id=correlation_id), self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                log_fields["left"] = True
            except Exception as error:
                log.error("request failed", error=type(error).__name__)
                if status == 0:
                    await _send_internal_error(send_with_id)
            finally:
                seconds = time.perf_counter() - began_s
                route = self._labels.get(scope["path"], "other")
                if status:
                    self._metrics.answered(route, status, seconds)
                log.info("request", route=route, status=status, ms=round(seconds * 1000, 1), **log_fields)


async def _send_internal_error(send: Send) -> None:
    body = as_json(
        {"error": {"code": "internal_error", "message": "The server failed to answer.", "type": "server_error"}}
    )
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
