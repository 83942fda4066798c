"""Opens a process's internal port, which checks no credentials: on loopback unless the settings say otherwise."""

import contextlib
from collections.abc import AsyncIterator

from starlette.types import ASGIApp

from agentvoicebox.http_server.local_only import LocalOnly
from agentvoicebox.http_server.serving import serving
from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings import Settings
from agentvoicebox.settings.values import variable
from agentvoicebox.telemetry.scrape_target import scrape_target

DRAIN_S = 1.0


@contextlib.asynccontextmanager
async def internal_port(app: ASGIApp, settings: Settings, setting: str, *, process: str = "") -> AsyncIterator[int]:
    """Serve an application for the duration of the block, and yield the port.

    Args:
        app: what is served.
        settings: of the deployment.
        setting: field of the settings with the port; 0 lets the system choose.
        process: name under which it is listed for Prometheus; empty: it is not.

    Raises:
        AddressUnavailable: the address can't be listened on.
    """
    guarded = LocalOnly(app, checks_host=is_loopback(settings.internal_host))
    number: int = getattr(settings, setting)
    async with serving(
        guarded, host=settings.internal_host, port=number, drain_s=DRAIN_S, setting=variable(setting)
    ) as port:
        with scrape_target(settings.targets_folder if process else None, process, settings.internal_host, port):
            yield port
