"""One event of each type, as the code makes it: for the page about events, and for tests of bodies."""

from typing import Any

import msgspec

from agentvoicebox.engine.effects import Persist
from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.storage.audit import AuditEntry, audit_event
from agentvoicebox.storage.outgoing_event import OutgoingEvent, trial_event
from agentvoicebox.storage.record_events import events_of
from agentvoicebox.storage.records import RecordBatch, TimedBatch
from agentvoicebox.storage.rules import Words

TENANT, SESSION, AT_S = "acme", "sess_5ca5e057f1ca9f12ac1d", 1_795_994_257.933
SAID = "Where is parcel PKG004?"
ARGUMENTS = '{"tracking_id":"PKG004"}'
OUTPUT = '{"code":"FOUND","data":{"tracking_id":"PKG004","status":"out_for_delivery"}}'

_AROUND: dict[str, object] = {
    "response_id": None,
    "transcript": None,
    "is_hidden": False,
    "sent_ms": 0,
    "heard_ms": None,
}


def item(record_id: str, shape: dict[str, object], **more: object) -> Persist:
    """The record of an item, as the engine makes it."""
    return Persist(record_id, "item", {**_AROUND, **more, "item": {"id": record_id, **shape}})


RECORDS = (
    Persist(SESSION, "session_opened", {"agent": "delivery", "model": "delivery", "opened_s": AT_S}),
    item(
        "item_caller",
        {
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_audio", "transcript": SAID}],
        },
        transcript=SAID,
    ),
    item(
        "item_call",
        {
            "type": "function_call",
            "status": "completed",
            "call_id": "call_1",
            "name": "get_delivery_status",
            "arguments": ARGUMENTS,
        },
        response_id="resp_1",
        is_hidden=True,
    ),
    item(
        "item_output",
        {"type": "function_call_output", "call_id": "call_1", "output": OUTPUT},
        response_id="resp_1",
        is_hidden=True,
    ),
    Persist(
        "resp_1",
        "response",
        {
            "status": "completed",
            "status_details": None,
            "usage": {"total_tokens": 173, "input_tokens": 153, "output_tokens": 20},
        },
    ),
    Persist(
        "resp_1",
        "turn",
        {
            "total_ms": 1281.6,
            "parts_ms": {"endpointing": 608.0, "stt": 121.0, "dialogue": 18.6, "tool": 36.4, "tts": 497.6},
        },
    ),
    Persist("item_caller", "item_deleted", {"item_id": "item_caller"}),
    Persist(SESSION, "session_closed", {"code": 1000, "reason": "client_left"}),
)


def events(*records: Persist, words: Words = "keep") -> list[OutgoingEvent]:
    """The events of records of one batch."""
    batch = TimedBatch(RecordBatch(TENANT, SESSION, "", records, owner="gw_1", number=0), AT_S)
    return list(events_of(batch, words=words, mask=IdentifierMask(lambda text: text if text == "PKG004" else None)))


def bodies(*records: Persist, words: Words = "keep") -> list[dict[str, Any]]:
    """Their bodies."""
    return [msgspec.json.decode(each.body) for each in events(*records, words=words)]


def examples() -> dict[str, dict[str, Any]]:
    """A body of each type."""
    entry = AuditEntry("aud_7a0c", AT_S, "cli", "key.created", "key_1f2e3d4c5b6a", body={"by_tenant": "default"})
    others = [audit_event(TENANT, entry), trial_event(TENANT, "dest_0a1b2c3d4e5f6071", "test_1", AT_S)]
    made: dict[str, dict[str, Any]] = {
        each.type: msgspec.json.decode(each.body) for each in (*events(*RECORDS), *others)
    }
    return made
