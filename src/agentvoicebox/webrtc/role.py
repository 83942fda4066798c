"""The WebRTC role: opens the port that gateways call, and ends its calls on shutdown.

The only file of this package that reads Settings.
"""

import asyncio
from collections.abc import Callable

from agentvoicebox.clock import SystemClock
from agentvoicebox.errors import SettingsError
from agentvoicebox.http_server.serving import serving
from agentvoicebox.settings import Settings
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.telemetry.process_report import ProcessReport

DRAIN_S = 8.0  # below the ten seconds after which the supervisor kills a process
MISSING = "The role webrtc needs the packages of the extra webrtc: pip install 'agentvoicebox[webrtc]'"

log = get_logger(__name__)


async def serve_webrtc(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """The role: takes calls until `stop`.

    Raises:
        SettingsError: browsers may not call, or the packages are not installed.
        AddressUnavailable: the address can't be listened on.
    """
    if not settings.webrtc:
        raise SettingsError("AVB_WEBRTC is not set: set AVB_WEBRTC=true to let browsers call by WebRTC")
    try:
        from agentvoicebox.webrtc.app import WebCallServer
        from agentvoicebox.webrtc.call_request import WebPlan
        from agentvoicebox.webrtc.calls import WebCalls
        from agentvoicebox.webrtc.metrics import WebCallMetrics
        from agentvoicebox.webrtc.peer import IcePlan
    except ImportError as error:
        raise SettingsError(f"{MISSING} ({error.name} is missing)") from error
    scheme = "https" if settings.tls_cert else "http"
    plan = WebPlan(
        settings.webrtc_gateway_list or (f"{scheme}://127.0.0.1:{settings.port}/v1",),
        ca_file=settings.tls_cert if not settings.webrtc_gateways else "",
        ice=IcePlan(
            settings.webrtc_public_address,
            settings.webrtc_ice_server_list,
            settings.webrtc_turn_username,
            settings.webrtc_turn_password,
            settings.webrtc_relay_only,
        ),
    )
    metrics = WebCallMetrics(report.registry)
    calls = WebCalls(plan, settings.webrtc_max_calls, metrics, SystemClock())
    async with serving(
        WebCallServer(calls, settings.webrtc_token).app(),
        host=settings.webrtc_host,
        port=settings.webrtc_port,
        drain_s=DRAIN_S,
        setting="AVB_WEBRTC_PORT",
        has_websockets=True,
    ) as port:
        log.info("webrtc port is open", port=port)
        announce_ready()
        await stop.wait()
        await calls.drain(DRAIN_S)
