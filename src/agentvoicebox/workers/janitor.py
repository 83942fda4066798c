"""The janitor as a role: cleans up sessions whose gateway is gone, deletes old records, and cleans the disk of the store.

One is enough; any number may run.
"""

import asyncio
from collections.abc import Callable

from agentvoicebox.broker.redis_streams import RedisBroker
from agentvoicebox.broker.store_cleaner import StoreCleaner
from agentvoicebox.ports.broker import JobKind
from agentvoicebox.sessions.directory import SessionDirectory
from agentvoicebox.sessions.janitor import Janitor
from agentvoicebox.sessions.leaked_keys import LeakedKeys
from agentvoicebox.settings import Settings
from agentvoicebox.storage.postgres import JANITOR_ROLE, Postgres
from agentvoicebox.storage.retention import Retention
from agentvoicebox.storage.rules import default_rules, gate_rules
from agentvoicebox.telemetry.janitor_metrics import JanitorMetrics
from agentvoicebox.telemetry.process_report import ProcessReport
from agentvoicebox.tenancy.audit_trail import GATE
from agentvoicebox.workers.runner import store_check


async def serve_janitor(
    settings: Settings, announce_ready: Callable[[], None], stop: asyncio.Event, report: ProcessReport
) -> None:
    """The role: sweeps until `stop`. While the store or PostgreSQL is away it waits."""
    broker = RedisBroker(settings.redis_url)
    postgres = await Postgres.open(settings.postgres_url, most_connections=1, role=JANITOR_ROLE)
    retention = Retention(
        postgres, default_rules(settings), event_days=settings.events_days, also={GATE: gate_rules(settings)}
    )
    cleaner = StoreCleaner(broker.connection, every_s=60 * settings.store_rewrite_minutes)
    beside = [
        asyncio.create_task(retention.run(stop), name="retention of records"),
        asyncio.create_task(cleaner.run(stop), name="cleaning of the store"),
    ]
    try:
        report.needs("store", store_check(broker, JobKind.RECORD))
        announce_ready()
        directory = SessionDirectory(broker.connection, broker.subscriber)
        metrics = JanitorMetrics(report.registry)
        await Janitor(directory, broker, LeakedKeys(broker.connection), metrics=metrics).run(stop)
    finally:
        for task in beside:
            task.cancel()  # the next sweep continues an interrupted one
        await asyncio.gather(*beside, return_exceptions=True)
        await postgres.close()
        await broker.close()
