"""A media server of WebRTC calls for tests, before a gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from agentvoicebox.clock import SystemClock
from agentvoicebox.http_server.serving import serving
from agentvoicebox.webrtc.app import WebCallServer
from agentvoicebox.webrtc.call_request import WebPlan
from agentvoicebox.webrtc.calls import WebCalls
from agentvoicebox.webrtc.metrics import WebCallMetrics
from agentvoicebox.webrtc.peer import IcePlan
from tests.kit.waiting import PATIENCE_S


class MediaServer:
    """One that serves.

    Attributes:
        port: its own.
        calls: in it.
    """

    def __init__(self, port: int, calls: WebCalls, registry: CollectorRegistry) -> None:
        self.port = port
        self.calls = calls
        self._registry = registry

    def count(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        return self._registry.get_sample_value(name, labels) or 0.0

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask as a gateway would."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as client:
            return await client.request(method, path, timeout=PATIENCE_S, **options)


@asynccontextmanager
async def media_server(
    gateways: tuple[str, ...], *, most: int = 24, token: str = "", ice: IcePlan | None = None
) -> AsyncIterator[MediaServer]:
    """Serve for the duration of the block.

    Args:
        gateways: their base URLs.
        most: calls at a time.
        token: what a gateway shows.
        ice: how browsers reach it; by default at its own addresses.
    """
    registry = CollectorRegistry()
    calls = WebCalls(WebPlan(gateways, ice=ice or IcePlan()), most, WebCallMetrics(registry), SystemClock())
    async with serving(
        WebCallServer(calls, token).app(),
        host="127.0.0.1",
        port=0,
        drain_s=2,
        setting="AVB_WEBRTC_PORT",
        has_websockets=True,
    ) as port:
        yield MediaServer(port, calls, registry)
        await calls.drain(5)
