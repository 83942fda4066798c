"""The role that delivers events: it alone talks to receivers, so a slow one delays no record and no call (ADR 27).

One is enough; any number may run. It needs PostgreSQL and the way to the receivers, and nothing else.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from agentvoicebox.errors import SettingsError
from agentvoicebox.events.deliverer import Deliverer
from agentvoicebox.events.destinations import Destinations
from agentvoicebox.events.lanes import Lanes
from agentvoicebox.events.webhook_sink import WebhookSink
from agentvoicebox.ports.event_sink import DestinationKind, EventSink
from agentvoicebox.settings import Settings
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.vault import Vault
from agentvoicebox.telemetry.event_metrics import EventMetrics
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.tools.addresses import Addresses
from agentvoicebox.workers.health import backend_check


async def serve_events(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """The role: delivers until `stop`. While PostgreSQL is away it waits.

    Raises:
        SettingsError: AVB_EVENTS_KAFKA is set, and its client is not installed.
    """
    async with AsyncExitStack() as stack:
        postgres = await Postgres.open(settings.postgres_url)
        stack.push_async_callback(postgres.close)
        sinks: dict[DestinationKind, EventSink] = {
            "webhook": WebhookSink(Addresses(is_local=settings.is_one_machine, private=settings.event_networks))
        }
        if settings.kafka_brokers:
            sinks["kafka"] = _kafka(settings)
        for sink in sinks.values():
            stack.push_async_callback(sink.close)
        destinations = Destinations(postgres, Vault(settings.history_key_list))
        retry_s = 3_600 * settings.events_retry_hours
        metrics = EventMetrics(report.registry)
        deliverer = Deliverer(Lanes(postgres), destinations, sinks, retry_s=retry_s, metrics=metrics)
        report.needs("PostgreSQL", backend_check(postgres.check))
        announce_ready()
        await deliverer.run(stop)


def _kafka(settings: Settings) -> EventSink:
    try:
        from agentvoicebox.events.kafka_sink import KafkaSink  # late: an extra
    except ImportError as error:
        raise SettingsError(
            "AVB_EVENTS_KAFKA is set, but the client is not installed: `pip install 'agentvoicebox[kafka]'`"
        ) from error
    return KafkaSink(settings.kafka_brokers)
