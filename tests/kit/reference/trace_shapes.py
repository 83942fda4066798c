"""The trace of a turn as types, for schemas. The server builds it in `telemetry/tap`; `extensions` explains each field."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

Part = Literal["endpointing", "socket", "ingest", "stt", "queue", "dialogue", "tool", "tts", "gateway"]


class _Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every key is always there."""


class TurnParts(_Sent, frozen=True, kw_only=True):
    """The wait by part, in ms."""

    endpointing: float
    socket: float
    ingest: float
    stt: float
    queue: float
    dialogue: float
    tool: float
    tts: float
    gateway: float


class TurnMarks(_Sent, frozen=True, kw_only=True):
    """When things had happened, in ms after `t0_s`; null: not on this path."""

    endpoint_decided: float
    words_ready: float | None
    text_ready: float | None
    tool_started: float | None
    tool_ended: float | None
    first_chunk_published: float | None
    first_output_sent: float


class TurnBar(_Sent, frozen=True, kw_only=True):
    """A step of the path."""

    part: Part
    start_ms: float
    end_ms: float
    job_id: str | None
    is_hidden: bool


class TurnJob(_Sent, frozen=True, kw_only=True):
    """A job of the response."""

    part: Part
    job_id: str
    opened_ms: float
    claimed_ms: float | None
    end_ms: float | None


class TurnLedger(_Sent, frozen=True, kw_only=True):
    """How the wait for an answer divides. `done_ms` and `jobs` come in the phase `done` only."""

    phase: Literal["first_output", "done"]
    response_id: str
    item_id: str | None
    t0_s: float
    speech_end_ms: float | None
    votes_ms: dict[str, float]
    total_ms: float
    parts_ms: TurnParts
    marks_ms: TurnMarks
    bars: list[TurnBar]
    speculation: Literal["hit", "miss", "none"]
    speculations_dropped: int
    done_ms: float | UnsetType = UNSET
    jobs: list[TurnJob] | UnsetType = UNSET
