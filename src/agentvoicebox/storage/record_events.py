"""The events that records of calls tell of, by the tenant's rule for words.

Words are in clear, masked, or left out where they are stored encrypted, since a receiver has no key. A record that is written
again, by a second recorder or after a takeover, gives the same events. Pure.
"""

from collections.abc import Iterator
from typing import Any

from agentvoicebox.engine.effects import Persist
from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.storage.outgoing_event import (
    ITEM_DELETED,
    MESSAGE_RECORDED,
    RESPONSE_DONE,
    SESSION_ENDED,
    SESSION_STARTED,
    TOOL_CALLED,
    TOOL_FINISHED,
    TURN_COMPLETED,
    OutgoingEvent,
    new_event,
)
from agentvoicebox.storage.privacy import protected
from agentvoicebox.storage.records import TURN, TimedBatch
from agentvoicebox.storage.rules import Words
from agentvoicebox.storage.vault import Vault

_WORDS_FIELD = {"keep": "clear", "mask": "masked", "encrypt": "withheld"}

_Meaning = tuple[str, tuple[object, ...], dict[str, object]]  # its type, its state without words, its data


def events_of(timed: TimedBatch, *, words: Words, mask: IdentifierMask) -> Iterator[OutgoingEvent]:
    """The events that a batch of records tells of. Records of any shape are read; what they lack is null."""
    batch = timed.batch
    if batch.is_request:
        return
    for position, record in timed.placed():
        meaning = _meaning(record, words, mask)
        if meaning is None:
            continue
        event_type, state, data = meaning
        yield new_event(
            event_type,
            tenant_id=batch.tenant_id,
            lane=batch.session_id,
            position=position,
            at_s=timed.submitted_s,
            record_id=record.record_id,
            data={"session_id": batch.session_id, **data},
            state=state,
            owner=batch.owner,
            number=batch.number,
        )


def _meaning(record: Persist, words: Words, mask: IdentifierMask) -> _Meaning | None:
    """What a record tells; None: nothing that concerns others."""
    body: dict[str, Any] = record.body
    match record.kind:
        case "session_opened":
            return SESSION_STARTED, (), {"agent": body.get("agent"), "model": body.get("model")}
        case "session_closed":
            return SESSION_ENDED, (), {"code": body.get("code"), "reason": body.get("reason")}
        case "item_deleted":
            return ITEM_DELETED, (), {"item_id": record.record_id}
        case "response":
            details = body.get("status_details")
            reason = details.get("reason") if isinstance(details, dict) else None
            return (
                RESPONSE_DONE,
                (body.get("status"),),
                {
                    "response_id": record.record_id,
                    "status": body.get("status"),
                    "reason": reason,
                    "usage": body.get("usage"),
                },
            )
        case kind if kind == TURN:
            return TURN_COMPLETED, (), {"response_id": record.record_id, "latency": body}
        case "item":
            return _meaning_of_item(record, words, mask)
        case _:
            return None


def _meaning_of_item(record: Persist, words: Words, mask: IdentifierMask) -> _Meaning | None:
    shown = _shown(record, words, mask)
    item = shown.get("item")
    if not isinstance(item, dict):
        return None
    has_words = words != "encrypt"
    facts = {"item_id": record.record_id, "response_id": shown.get("response_id"), "words": _WORDS_FIELD[words]}
    match item.get("type"):
        case "message":
            times = {"sent_ms": shown.get("sent_ms"), "heard_ms": shown.get("heard_ms")}
            text = _text(item, shown.get("transcript"))
            state = (item.get("status"), text is None, *times.values())
            data = {"role": item.get("role"), "status": item.get("status"), "text": text if has_words else None}
            return MESSAGE_RECORDED, state, {**facts, **data, **times}
        case "function_call":
            data = {"call_id": item.get("call_id"), "name": item.get("name"), "status": item.get("status")}
            arguments = item.get("arguments") if has_words else None
            return TOOL_CALLED, (item.get("status"),), {**facts, **data, "arguments": arguments}
        case "function_call_output":
            output = item.get("output") if has_words else None
            return TOOL_FINISHED, (), {**facts, "call_id": item.get("call_id"), "output": output}
        case _:
            return None


def _shown(record: Persist, words: Words, mask: IdentifierMask) -> dict[str, Any]:
    """A record as a receiver may see it. Where its words are encrypted, the caller of this leaves them out."""
    if words != "mask":
        return record.body
    return protected(record, words="mask", vault=Vault(), mask=mask, tenant_id="", session_id="")


def _text(item: dict[str, Any], transcript: object) -> str | None:
    """The words of a message; None: its recogniser is still working."""
    words: list[str] = []
    content = item.get("content")
    for part in content if isinstance(content, list | tuple) else ():
        if not isinstance(part, dict):
            continue
        text = next((part[name] for name in ("text", "transcript") if isinstance(part.get(name), str)), None)
        if text is None and part.get("type") == "input_audio":
            text = transcript if isinstance(transcript, str) else None
            if text is None:
                return None
        if text:
            words.append(text)
    return " ".join(words)
