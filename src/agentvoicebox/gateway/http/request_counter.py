"""Counts REST requests by route and status. A route is a pattern, such as `/v1/sessions/{session_id}`, never a client's path."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentvoicebox.telemetry.labels import OTHER
from agentvoicebox.telemetry.metrics import Metrics


class RequestCounter:
    """ASGI middleware, around everything that may answer a request. What no route took counts as `other`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The router has put the matched route into the scope.
                route = getattr(scope.get("route"), "path", OTHER)
                self._metrics.request_answered(route, message["status"])
            await send(message)

        await self._app(scope, receive, watch)
