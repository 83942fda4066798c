"""Records attempts to authenticate, without delaying them: each of a known caller; those of unknown ones by source and minute.

Attempts are queued in memory and written in batches a moment later; while PostgreSQL is away they wait, as far
as there is room. Administrative changes are not recorded here: they are written before they take effect (`storage.audit`).
"""

import asyncio
import contextlib
import secrets
from collections import deque
from datetime import UTC, datetime

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import StorageLost
from agentvoicebox.storage import outbox
from agentvoicebox.storage.audit import AuditEntry, audit_event
from agentvoicebox.storage.jsonb import to_jsonb
from agentvoicebox.storage.postgres import Postgres, StorageRefused
from agentvoicebox.storage.queries import load
from agentvoicebox.telemetry.logs import get_logger
from agentvoicebox.tenancy.refusal_counts import Refusal, RefusalCounts

GATE = "_gate"
"""The log of attempts that belong to no tenant; no tenant can have this id."""

MOST_WAITING = 20_000  # entries, some 10 MB: minutes of an outage, or of a fast guessing attack
BATCH = 500
EVERY_S = 1.0

_INSERT = load("audit_insert")

log = get_logger(__name__)


class AuditTrail:
    """Queues entries and writes them soon. Keep `run` running for as long as the process accepts callers."""

    def __init__(self, postgres: Postgres, *, clock: Clock | None = None) -> None:
        self._postgres = postgres
        self._clock = clock or SystemClock()
        self._waiting: deque[tuple[str, AuditEntry]] = deque()
        self._refusals = RefusalCounts(self._clock)
        self.lost = 0

    def add(self, tenant_id: str, action: str, *, actor: str, subject: str = "", reason: str = "") -> None:
        """Queue one attempt; the oldest is dropped when there are too many."""
        body: dict[str, object] = {"reason": reason} if reason else {}
        audit_id = f"aud_{secrets.token_hex(10)}"
        self._queue(tenant_id, AuditEntry(audit_id, self._clock.wall_s(), actor, action, subject, "", body))

    def add_refusal(self, action: str, *, actor: str, source: str, reason: str) -> None:
        """Count the refusal of a caller that belongs to no tenant. See `refusal_counts`."""
        entry = self._refusals.add(Refusal(action, source, reason), actor)
        if entry is not None:
            self._queue(GATE, entry)

    def _queue(self, tenant_id: str, entry: AuditEntry) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._count_lost(1, "too many entries are queued")
        self._waiting.append((tenant_id, entry))

    async def run(self, stop: asyncio.Event) -> None:
        """Write every second until `stop`, and once more at the end."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()
            await self.flush(is_end=stop.is_set())

    async def flush(self, *, is_end: bool = False) -> None:
        """Write the queue; entries that PostgreSQL can't take now stay queued. At the end, also what is still counted."""
        for entry in self._refusals.due(is_end=is_end):
            self._queue(GATE, entry)
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            by_tenant: dict[str, list[AuditEntry]] = {}
            for tenant_id, entry in batch:
                by_tenant.setdefault(tenant_id, []).append(entry)
            for tenant_id in list(by_tenant):
                try:
                    await self._write(tenant_id, by_tenant[tenant_id])
                except StorageLost:
                    self._waiting.extendleft(
                        (tenant, entry) for tenant, entries in by_tenant.items() for entry in reversed(entries)
                    )
                    return
                except StorageRefused as error:
                    self._count_lost(len(by_tenant[tenant_id]), error.message)
                del by_tenant[tenant_id]

    async def _write(self, tenant_id: str, entries: list[AuditEntry]) -> None:
        rows = [
            (tenant_id, each.audit_id, datetime.fromtimestamp(each.at_s, UTC), each.actor, each.action, each.subject,
             each.trace_id, to_jsonb(each.body))
            for each in entries
        ]  # fmt: skip
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            await connection.executemany(_INSERT, rows)
            await outbox.write(connection, tenant_id, [audit_event(tenant_id, each) for each in entries])

    def _count_lost(self, count: int, why: str) -> None:
        if self.lost == 0:
            log.error("attempts to authenticate are missing from the audit log", why=why)
        self.lost += count
