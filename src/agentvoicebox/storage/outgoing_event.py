"""An event for other systems: its types, its stable id, its order and its body (CloudEvents 1.0, JSON).

Pure. `record_events` makes events from records of calls, `audit` from audit entries; `outbox` stores them.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
AUDIT_LANE = "audit"
"""The lane of a tenant's audit entries. Every other lane is a session's id."""

SESSION_STARTED = "agentvoicebox.session.started"
SESSION_ENDED = "agentvoicebox.session.ended"
MESSAGE_RECORDED = "agentvoicebox.message.recorded"
ITEM_DELETED = "agentvoicebox.item.deleted"
RESPONSE_DONE = "agentvoicebox.response.done"
TURN_COMPLETED = "agentvoicebox.turn.completed"
TOOL_CALLED = "agentvoicebox.tool.called"
TOOL_FINISHED = "agentvoicebox.tool.finished"
AUDIT_RECORDED = "agentvoicebox.audit.recorded"
TEST = "agentvoicebox.test"

EVENT_TYPES: dict[str, str] = {
    SESSION_STARTED: "A session was opened.",
    SESSION_ENDED: "A session has ended.",
    MESSAGE_RECORDED: (
        "A message of the caller or of the agent, each time its record changes: when it is committed, when its words are known, "
        "when it was cut off."
    ),
    ITEM_DELETED: "The client deleted an item of the conversation.",
    RESPONSE_DONE: "A response has ended; with its tokens.",
    TURN_COMPLETED: "The latency of an answered turn, by cause.",
    TOOL_CALLED: "The agent called a tool.",
    TOOL_FINISHED: "A tool returned.",
    AUDIT_RECORDED: "An entry of the tenant's audit log.",
    TEST: "What `agentvoicebox events test` sends.",
}
"""All types, and what each tells."""


class OutgoingEvent(msgspec.Struct, frozen=True):
    """One event.

    Attributes:
        event_id: the same for the same fact; unique within the tenant.
        lane: events of one lane are delivered in order: a session's id, or AUDIT_LANE.
        position: the event's place in its lane, nanoseconds since 1970.
        owner, number: the batch of records that it came with; `number` is -1 where batches are not numbered.
        body: its CloudEvents form, JSON.
    """

    event_id: str
    type: str
    lane: str
    position: int
    body: str
    owner: str = ""
    number: int = -1


def is_type_pattern(text: str) -> bool:
    """Whether `text` names a type of event, or several: `agentvoicebox.tool.*`."""
    return any(matches([text], each) for each in EVENT_TYPES)


def matches(patterns: Sequence[str], event_type: str) -> bool:
    """Whether one of the patterns names the type; no pattern names all of them."""
    return not patterns or any(
        event_type == each or (each.endswith(".*") and event_type.startswith(each[:-1])) for each in patterns
    )


def new_event(
    event_type: str,
    *,
    tenant_id: str,
    lane: str,
    position: int,
    at_s: float,
    record_id: str,
    data: dict[str, object],
    state: Sequence[object] = (),
    subject: str = "",
    owner: str = "",
    number: int = -1,
) -> OutgoingEvent:
    """An event of a record, which was made at `at_s` (wall time).

    The event's id comes from its type, its lane, the record's id and `state`: which of the record's states it tells, without
    words, which a digest could reveal. `subject` is the CloudEvent's, by default the lane. The others: see OutgoingEvent.
    """
    facts = msgspec.json.encode([tenant_id, lane, event_type, record_id, *state])
    event_id = f"evt_{hashlib.blake2b(facts, digest_size=12).hexdigest()}"
    at = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = {
        "specversion": SPEC_VERSION,
        "id": event_id,
        "source": f"/agentvoicebox/tenants/{tenant_id}",
        "type": event_type,
        "subject": subject or lane,
        "time": at,
        "datacontenttype": "application/json",
        "partitionkey": lane,
        "sequence": f"{position:020d}",
        "data": data,
    }
    return OutgoingEvent(event_id, event_type, lane, position, msgspec.json.encode(body).decode(), owner, number)


def place_at(at_s: float) -> int:
    """The position of something that happened at a wall time."""
    return int(at_s * 1_000_000) * 1_000


def trial_event(tenant_id: str, destination_id: str, trial_id: str, at_s: float) -> OutgoingEvent:
    """An event that tells nothing, for one destination, in a lane of its own. `trial_id` is random, `at_s` wall time."""
    return new_event(
        TEST,
        tenant_id=tenant_id,
        lane=trial_id,
        position=place_at(at_s),
        at_s=at_s,
        record_id=trial_id,
        data={"destination_id": destination_id},
    )
