"""The stored form of a session's state: MessagePack, with the number of its format.

A snapshot outlives the process that wrote it, and during an upgrade the version. Each older format is turned into the next one
here, as plain maps and lists; nothing else of the engine knows that they exist. `tests/data/formats` holds snapshots of each.
"""

from typing import Any

import msgspec

from agentvoicebox.engine.segment_queue import SegmentPhase
from agentvoicebox.engine.state import State
from agentvoicebox.engine.tool_call import CallPhase
from agentvoicebox.engine.turn import TurnPhase

FORMAT = 1

Map = dict[str, Any]

RESPONSE_FIELDS = (
    ("speech", "segment_queue"),
    ("base", "context"),
    ("own", "tool_messages"),
    ("question", "question_item_id"),
)  # old name → new name


class _Snapshot(msgspec.Struct):
    format: int
    state: State


def encode(state: State) -> bytes:
    """A snapshot of a state."""
    return msgspec.msgpack.encode(_Snapshot(FORMAT, state))


def decode(data: bytes) -> State:
    """The state of a snapshot of this or an older format. Raises msgspec.ValidationError for anything else."""
    raw = msgspec.msgpack.decode(data)
    if not isinstance(raw, dict):
        raise msgspec.ValidationError("a snapshot is a map")
    if "format" not in raw:
        try:
            raw = {"format": FORMAT, "state": from_version_0(raw)}
        except (KeyError, TypeError, AttributeError) as error:
            raise msgspec.ValidationError(f"not a snapshot of format 0: {error!r}") from error
    snapshot = msgspec.convert(raw, _Snapshot)
    if snapshot.format != FORMAT:
        raise msgspec.ValidationError(f"unknown snapshot format {snapshot.format}")
    return snapshot.state


def from_version_0(raw: Map) -> Map:
    """Format 0 had no number and no phases but the response's: they follow from which fields are set."""
    state = dict(raw)
    _rename(state, "has_spoken", "has_sent_audio")
    for entry in state["conversation"]["entries"]:
        _upgrade_entry(entry)
    buffer = state["buffer"]
    if buffer["turn"] is not None:
        buffer["turn"]["phase"] = _turn_phase(buffer["turn"])
    for job_id, item_id in buffer["owed"].items():
        phase = TurnPhase.AWAITING_TRANSCRIPT
        buffer["owed"][job_id] = {"item_id": item_id, "job_id": job_id, "start_sample": 0, "phase": phase}
    for response in state["responses"].values():
        for entry in response["side"]["entries"] if response["side"] is not None else ():
            _upgrade_entry(entry)
        for call in response["calls"]:
            call["phase"] = _call_phase(call)
        for old, new in RESPONSE_FIELDS:
            _rename(response, old, new)
        queue = response["segment_queue"]
        for number, segment in enumerate(queue["segments"]):
            segment["phase"] = SegmentPhase.SENT if number < queue["current"] else _segment_phase(segment)
    return state


def _upgrade_entry(entry: Map) -> None:
    _rename(entry, "said", "segment_spans")
    _rename(entry, "heard_ms", "played_ms")


def _rename(fields: Map, old: str, new: str) -> None:
    fields[new] = fields.pop(old)


def _turn_phase(turn: Map) -> TurnPhase:
    if turn["is_manual"]:
        return TurnPhase.MANUAL
    return TurnPhase.SPEAKING if turn["pause_sample"] is None else TurnPhase.PAUSED


def _call_phase(call: Map) -> CallPhase:
    if call["output"] is not None:
        return CallPhase.RETURNED
    if call["job_id"] is not None:
        return CallPhase.RUNNING
    return CallPhase.WRITTEN if call["is_written"] else CallPhase.WRITING


def _segment_phase(segment: Map) -> SegmentPhase:
    if segment["is_synthesised"]:
        return SegmentPhase.SYNTHESISED
    if segment["job_id"] is None:
        return SegmentPhase.QUEUED
    return SegmentPhase.SENDING if segment["is_announced"] else SegmentPhase.SYNTHESISING
