"""What every internal port answers: whether the process lives, whether it can work, and its metrics.

Both usual spellings of the probes are served. `probe_routes` adds the same to an application with further routes.
"""

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from agentvoicebox.http_server.refusal import send_refusal
from agentvoicebox.telemetry.process_report import LIVE, ProcessReport

HEALTH, READY, METRICS = ("/health", "/healthz"), ("/ready", "/readyz"), "/metrics"
PATHS = frozenset({*HEALTH, *READY, METRICS})


class Probes:
    """ASGI application of an internal port without further routes. `report`: of the process."""

    def __init__(self, report: ProcessReport) -> None:
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        path = scope["path"]
        if scope["type"] != "http" or path not in PATHS:
            await send_refusal(scope, send, 404, "unknown_url", f"There is nothing at {path[:200]}.")
        elif scope["method"] != "GET":
            await send_refusal(scope, send, 405, "method_not_allowed", f"{path} takes GET and HEAD.")
        elif path == METRICS:
            body, content_type = self._report.page(Headers(scope=scope).get("accept", ""))
            await _answer(send, 200, content_type, body)
        else:
            status, found = (200, LIVE) if path in HEALTH else await self._report.readiness()
            await _answer(send, status, "application/json", msgspec.json.encode(found))


async def _answer(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
