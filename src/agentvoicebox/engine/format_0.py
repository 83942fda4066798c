"""Snapshots of format 0, turned into the present form. Format 0 had no number; commit 0e6754a and earlier wrote it.

Works on plain maps and lists: nothing else of the engine knows the older form. `tests/data/formats/0e6754a` holds such snapshots.
"""

from typing import Any

from agentvoicebox.engine.segment_queue import SegmentPhase
from agentvoicebox.engine.tool_call import CallPhase
from agentvoicebox.engine.turn import TurnPhase

Map = dict[str, Any]

RESPONSE_FIELDS = (
    ("speech", "segment_queue"),
    ("base", "context"),
    ("own", "tool_messages"),
    ("question", "question_item_id"),
)  # old name → new name


def from_version_0(raw: Map) -> Map:
    """The state of a format 0 snapshot, as the maps of the present form. Changes `raw`.

    Format 0 had a phase for responses alone. The other phases follow from which fields are set.

    Raises:
        KeyError, TypeError or AttributeError: it is no such snapshot.
    """
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
