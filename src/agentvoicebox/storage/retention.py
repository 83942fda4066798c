"""Deletes records by the tenants' rules: sessions with their content after `days`, the audit log and usage after `audit_days`.

Events go after the days for which they can be sent again, or sooner where sessions are kept for less.

Deletes in small steps, each a transaction of its own, with a pause between them, so that other work is not delayed. A session's
row is deleted last: the next sweep continues an interrupted one. Only one process sweeps at a time.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import InfrastructureError
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.queries import load
from agentvoicebox.storage.rules import RetentionRules, tenant_rules
from agentvoicebox.telemetry.logs import get_logger

EVERY_S = 3_600.0
STEP_ROWS = 500  # some 20 ms of PostgreSQL
STEP_SESSIONS = 50
REST_S = 0.05

_LOCK = 0x61766274  # one above the migrations' own
_TENANTS, _OVER = load("tenants_list"), load("retention_over")
_OF_SESSIONS = {name: load(f"retention_{name}") for name in ("items", "responses", "turns", "audio_pieces")}
_SESSIONS = load("retention_sessions")
_BY_TIME = {name: load(f"retention_{name}") for name in ("audit", "usage")}
_OF_EVENTS = {name: load(f"retention_{name}") for name in ("events", "event_deliveries", "event_batches")}
EVENT_DAYS = 7

log = get_logger(__name__)


class SweepCounts(msgspec.Struct):
    """Numbers of rows that a sweep deleted."""

    sessions: int = 0
    items: int = 0
    responses: int = 0
    turns: int = 0
    audio_pieces: int = 0
    audit: int = 0
    usage: int = 0
    events: int = 0
    event_deliveries: int = 0
    event_batches: int = 0

    def add(self, name: str, rows: int) -> None:
        """Add further rows."""
        setattr(self, name, getattr(self, name) + rows)


class SweepRunning(InfrastructureError):
    """Another process is sweeping."""

    code = "swept_elsewhere"


class Retention:
    """Deletes old records.

    Args:
        postgres: opened as `JANITOR_ROLE`; the role that serves callers can't delete.
        default: the rules of tenants that have none of their own.
        event_days: days for which events are kept.
        also: rules of ids without a row in `tenants` whose audit log is swept, too.
    """

    def __init__(
        self,
        postgres: Postgres,
        default: RetentionRules,
        *,
        event_days: int = EVENT_DAYS,
        also: Mapping[str, RetentionRules] | None = None,
        clock: Clock | None = None,
        step_rows: int = STEP_ROWS,
        rest_s: float = REST_S,
    ) -> None:
        self._postgres = postgres
        self._default = default
        self._event_days = event_days
        self._also = also or {}
        self._clock = clock or SystemClock()
        self._step_rows = step_rows
        self._rest_s = rest_s

    async def sweep(self) -> SweepCounts:
        """Delete everything that is due, of all tenants.

        Raises:
            SweepRunning: another process is sweeping. StorageLost: PostgreSQL is away. Rows deleted so far stay deleted.
        """
        swept = SweepCounts()
        async with self._postgres.tenant_transaction("") as connection:
            await connection.execute("SELECT set_config('agentvoicebox.lists_tenants', 'yes', true)")
            rows = await connection.fetch(_TENANTS)
        tenants = {row["tenant_id"]: tenant_rules(row["history"]).over(self._default) for row in rows}
        tenants |= self._also
        now = datetime.fromtimestamp(self._clock.wall_s(), UTC)
        for tenant_id, rules in tenants.items():
            await self._sweep_sessions(tenant_id, now - timedelta(days=rules.days), swept)
            for name, statement in _BY_TIME.items():
                await self._delete(name, statement, tenant_id, now - timedelta(days=rules.audit_days), swept)
            for name, statement in _OF_EVENTS.items():
                before = now - timedelta(days=min(rules.days, self._event_days))
                await self._delete(name, statement, tenant_id, before, swept)
        return swept

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep every hour until `stop`."""
        while not stop.is_set():
            try:
                swept = await self.sweep()
                if swept != SweepCounts():
                    log.info("old records were deleted", **msgspec.structs.asdict(swept))
            except SweepRunning:
                pass  # the other process does the work
            except InfrastructureError as error:
                log.warning("can't sweep", error=error.message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()

    async def _sweep_sessions(self, tenant_id: str, before: datetime, swept: SweepCounts) -> None:
        while True:
            async with self._postgres.tenant_transaction(tenant_id) as connection:
                rows = await connection.fetch(_OVER, tenant_id, before, STEP_SESSIONS)
            if not rows:
                return
            over = [row["session_id"] for row in rows]
            for name, statement in _OF_SESSIONS.items():
                await self._delete(name, statement, tenant_id, over, swept)
            async with self._postgres.tenant_transaction(tenant_id) as connection:
                # Not one with a new record meanwhile: a late record would be left without its session.
                gone = _count(await connection.execute(_SESSIONS, tenant_id, over, before))
            swept.add("sessions", gone)
            if not gone:  # all of them have new records: leave them to the next sweep
                return

    async def _delete(self, name: str, statement: str, tenant_id: str, which: object, swept: SweepCounts) -> None:
        """Delete in steps until a step finds fewer rows than it may take."""
        while True:
            async with self._postgres.tenant_transaction(tenant_id) as connection:
                if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
                    raise SweepRunning("another process is sweeping")
                rows = _count(await connection.execute(statement, tenant_id, which, self._step_rows))
            swept.add(name, rows)
            if rows < self._step_rows:
                return
            await asyncio.sleep(self._rest_s)


def _count(status: str) -> int:
    """Rows in PostgreSQL's `DELETE 12`."""
    return int(status.rpartition(" ")[2])
