"""The outbox: events are written in the transaction of the record that they tell of, so that both are stored or neither.

A tenant without a destination has no events. An event that is there already is not written again, so a record may be. The rows
of lanes are locked in order until the transaction ends: a deliverer that finds its lane empty can't miss an event.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agentvoicebox.storage.outgoing_event import OutgoingEvent, matches
from agentvoicebox.storage.queries import load
from agentvoicebox.storage.records import TimedBatch

_DESTINATIONS = "SELECT destination_id, types FROM event_destinations"  # of the tenant that the transaction sees
_EVENTS, _DELIVERIES, _LANES = load("events_insert"), load("event_deliveries_insert"), load("event_lanes_open")
_BATCHES = load("event_batches_note")


async def write(connection: Any, tenant_id: str, events: Sequence[OutgoingEvent]) -> None:
    """Write events within the caller's `tenant_transaction`, for every destination that wants them."""
    wanted = await _wanted(connection)
    if wanted:
        await _write(connection, tenant_id, events, wanted)


async def write_of_records(
    connection: Any,
    tenant_id: str,
    batches: Sequence[TimedBatch],
    events_of: Callable[[TimedBatch], Iterable[OutgoingEvent]],
) -> None:
    """Write the events of batches within the transaction that writes their records, and note that the batches are written.

    `events_of` makes the events of one batch; it is asked only where the tenant has destinations.
    """
    wanted = await _wanted(connection)
    if not wanted:
        return
    counted = sorted(
        (each.batch.session_id, each.batch.owner, each.batch.number, each.submitted_s)
        for each in batches
        if each.batch.number >= 0
    )
    if counted:
        await connection.executemany(
            _BATCHES,
            [
                (tenant_id, session_id, owner, number, datetime.fromtimestamp(at_s, UTC))
                for session_id, owner, number, at_s in counted
            ],
        )
    await _write(connection, tenant_id, [event for each in batches for event in events_of(each)], wanted)


async def write_for(connection: Any, tenant_id: str, destination_id: str, events: Sequence[OutgoingEvent]) -> None:
    """Write events for one destination, whichever types it wants."""
    await _write(connection, tenant_id, events, {destination_id: ()})


async def _wanted(connection: Any) -> dict[str, Sequence[str]]:
    """The tenant's destinations, and the types that each wants."""
    return {row["destination_id"]: row["types"] for row in await connection.fetch(_DESTINATIONS)}


async def _write(
    connection: Any, tenant_id: str, events: Sequence[OutgoingEvent], wanted: Mapping[str, Sequence[str]]
) -> None:
    by_id: dict[str, OutgoingEvent] = {}
    for event in events:
        if any(matches(types, event.type) for types in wanted.values()):
            by_id.setdefault(event.event_id, event)
    if not by_id:
        return
    rows = [by_id[event_id] for event_id in sorted(by_id)]  # in one order everywhere, so that recorders never deadlock
    new = await connection.fetch(
        _EVENTS, tenant_id,
        [each.event_id for each in rows], [each.type for each in rows], [each.lane for each in rows],
        [each.position for each in rows], [each.owner for each in rows], [each.number for each in rows],
        [each.body for each in rows],
    )  # fmt: skip
    due = sorted(
        (destination_id, event.lane, event.position, event.event_id)
        for event in (by_id[row["event_id"]] for row in new)
        for destination_id, types in wanted.items()
        if matches(types, event.type)
    )
    await _deliver(connection, tenant_id, due)


async def send_again(connection: Any, tenant_id: str, destination_id: str, rows: Sequence[Any]) -> None:
    """Have a destination get stored events again, whether it has had them or not.

    Each row has an event_id, lane and position.
    """
    due = sorted((row["lane"], row["position"], row["event_id"]) for row in rows)
    await _deliver(connection, tenant_id, [(destination_id, *each) for each in due])


async def _deliver(connection: Any, tenant_id: str, due: Sequence[tuple[str, str, int, str]]) -> None:
    """Note what destinations have not had: destination, lane, position and event of each, sorted."""
    if not due:
        return
    destinations, lanes, positions, event_ids = (list(column) for column in zip(*due, strict=True))
    await connection.execute(_DELIVERIES, tenant_id, destinations, event_ids, lanes, positions)
    opened = sorted(set(zip(destinations, lanes, strict=True)))
    await connection.execute(_LANES, tenant_id, [each[0] for each in opened], [each[1] for each in opened])
