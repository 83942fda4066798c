"""Lanes: for each destination, the sessions with events that it has not had. What deliverers share, in PostgreSQL.

A lane is leased by one deliverer at a time, which delivers its events in order. A deliverer that dies leaves a lease that ends by
itself: the next one sends the event again whose outcome is unknown (at least once). A lane without events has no row.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from agentvoicebox.clock import Clock
from agentvoicebox.ports.event_sink import EventMessage
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.queries import load

LEASE_S = 60.0  # several attempts long; a dead deliverer's lanes wait this long
GAP_S = 60.0  # how long an event waits for records before its own; they may be lost for good (a dead letter)

_DUE, _CLAIM, _NEXT = load("event_lanes_due"), load("event_lanes_claim"), load("event_next")
_RENEW = """
    UPDATE event_lanes SET leased_until = $5, failures = CASE WHEN $6 THEN 0 ELSE failures END
    WHERE tenant_id = $1 AND destination_id = $2 AND lane = $3 AND lease = $4 RETURNING failures
"""
_RELEASE = """
    UPDATE event_lanes SET lease = '', leased_until = '-infinity', due_at = $5, failures = failures + $6
    WHERE tenant_id = $1 AND destination_id = $2 AND lane = $3 AND lease = $4
"""
_CLOSE = "DELETE FROM event_lanes WHERE tenant_id = $1 AND destination_id = $2 AND lane = $3"
_TAKEN = "DELETE FROM event_deliveries WHERE tenant_id = $1 AND destination_id = $2 AND event_id = $3"
_FAILED = """
    UPDATE event_deliveries SET attempts = attempts + 1, problem = $4, dead_at = $5
    WHERE tenant_id = $1 AND destination_id = $2 AND event_id = $3
"""
_PAUSE = """
    UPDATE event_destinations SET paused_until = greatest(paused_until, $3) WHERE tenant_id = $1 AND destination_id = $2
"""


class DueLanes(msgspec.Struct, frozen=True):
    """A destination with lanes that are due now."""

    tenant_id: str
    destination_id: str
    lanes: int


class Lane(msgspec.Struct, frozen=True):
    """A leased lane."""

    tenant_id: str
    destination_id: str
    lane: str
    lease: str

    @property
    def row(self) -> tuple[str, str, str]:
        """The key of its row."""
        return self.tenant_id, self.destination_id, self.lane


class LaneHead(msgspec.Struct, frozen=True):
    """The next event of a lane.

    Attributes:
        age_s: how long it is due.
        failures: of the lane, since its last success.
        is_ready: the records before its own are written; else it has to wait.
    """

    message: EventMessage
    age_s: float
    failures: int
    is_ready: bool


class Lanes:
    """Reads, leases and closes lanes.

    Args:
        clock: replaces the time of the database, which is the same for all deliverers, in tests.
    """

    def __init__(self, postgres: Postgres, *, clock: Clock | None = None, lease_s: float = LEASE_S) -> None:
        self._postgres = postgres
        self._clock = clock
        self._lease_s = lease_s

    async def due(self) -> list[DueLanes]:
        """The destinations of all tenants that have lanes which are due and free. Raises StorageLost."""
        async with self._postgres.tenant_transaction("") as connection:
            await connection.execute("SELECT set_config('agentvoicebox.delivers_events', 'yes', true)")
            rows = await connection.fetch(_DUE, await self._now(connection))
        return [DueLanes(row["tenant_id"], row["destination_id"], row["lanes"]) for row in rows]

    async def claim(self, due: DueLanes, most: int) -> list[Lane]:
        """Lease up to `most` lanes of a destination, the longest due first, past those that others claim. Raises StorageLost."""
        lease = secrets.token_hex(8)
        async with self._postgres.tenant_transaction(due.tenant_id) as connection:
            now = await self._now(connection)
            until = now + timedelta(seconds=self._lease_s)
            rows = await connection.fetch(_CLAIM, due.tenant_id, due.destination_id, now, most, lease, until)
        return [Lane(due.tenant_id, due.destination_id, row["lane"], lease) for row in rows]

    async def next(self, lane: Lane, *, taken: str = "") -> LaneHead | None:
        """Renew the lease, and read the lane's next event. A lane without events is closed.

        `taken` is the id of an event that the receiver has taken.

        Returns:
            None when there is none, or when another deliverer has the lane by now.

        Raises:
            StorageLost.
        """
        async with self._postgres.tenant_transaction(lane.tenant_id) as connection:
            now = await self._now(connection)
            until = now + timedelta(seconds=self._lease_s)
            if taken:  # also when the lease is lost: the receiver has it
                await connection.execute(_TAKEN, lane.tenant_id, lane.destination_id, taken)
            failures = await connection.fetchval(_RENEW, *lane.row, lane.lease, until, bool(taken))
            if failures is None:
                return None
            row = await connection.fetchrow(_NEXT, *lane.row)
            if row is None:
                await connection.execute(_CLOSE, *lane.row)
                return None
            age_s = (now - row["created_at"]).total_seconds()
            is_ready = row["is_next"] or (now - row["recorded_at"]).total_seconds() >= GAP_S
            message = EventMessage(row["event_id"], row["type"], lane.lane, row["body"])
            return LaneHead(message, age_s, failures, is_ready)

    async def release(self, lane: Lane, wait_s: float = 0.0) -> None:
        """Give a lane back; it is due again after `wait_s`. Raises StorageLost."""
        async with self._postgres.tenant_transaction(lane.tenant_id) as connection:
            due_at = await self._now(connection) + timedelta(seconds=wait_s)
            await connection.execute(_RELEASE, *lane.row, lane.lease, due_at, 0)

    async def fail(self, lane: Lane, event_id: str, problem: str, *, wait_s: float, pause_s: float = 0.0) -> None:
        """An attempt failed: the lane is due again after `wait_s`, and no lane of the destination within `pause_s`.

        Raises StorageLost.
        """
        async with self._postgres.tenant_transaction(lane.tenant_id) as connection:
            now = await self._now(connection)
            await connection.execute(_FAILED, lane.tenant_id, lane.destination_id, event_id, problem, None)
            await connection.execute(_RELEASE, *lane.row, lane.lease, now + timedelta(seconds=wait_s), 1)
            if pause_s:
                await connection.execute(_PAUSE, lane.tenant_id, lane.destination_id, now + timedelta(seconds=pause_s))

    async def give_up(self, lane: Lane, event_id: str, problem: str) -> None:
        """The event's time is over: it is a dead letter, and the lane goes on without it. Raises StorageLost."""
        async with self._postgres.tenant_transaction(lane.tenant_id) as connection:
            await connection.execute(
                _FAILED, lane.tenant_id, lane.destination_id, event_id, problem, await self._now(connection)
            )

    async def drop(self, lane: Lane) -> None:
        """The destination is gone: so is what waited for it. Raises StorageLost."""
        async with self._postgres.tenant_transaction(lane.tenant_id) as connection:
            await connection.execute(_CLOSE, *lane.row)  # first: a recorder that adds to the lane waits for this
            await connection.execute(
                "DELETE FROM event_deliveries WHERE tenant_id = $1 AND destination_id = $2 AND lane = $3", *lane.row
            )

    async def _now(self, connection: Any) -> datetime:
        if self._clock is not None:
            return datetime.fromtimestamp(self._clock.wall_s(), UTC)
        now: datetime = await connection.fetchval("SELECT now()")
        return now
