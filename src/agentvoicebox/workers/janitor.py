"""The janitor as a role: sweeps up after sessions whose gateway is gone. One is enough; any number may run."""

import asyncio
from collections.abc import Callable

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.janitor import Janitor
from agentvoicebox.settings import Settings


async def serve_janitor(settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """The role: sweeps until `stop`. While the store is away it waits."""
    broker = RedisBroker(settings.redis_url)
    try:
        announce_ready()
        await Janitor(SessionDirectory(broker.connection, broker.subscriber), broker).run(stop)
    finally:
        await broker.close()
