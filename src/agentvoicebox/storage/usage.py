"""Usage of tenants: connection time, audio in and out, tokens. Stored by session and response, summed by tenant and day.

Each entry holds totals that only grow, so a duplicate or late record counts once. A session counts from its first record
to its last; audio in is what the caller sent, silence included; audio out and tokens are as reported in `response.done`.
A request for speech or a transcript (`/v1/audio`) counts with its audio and tokens, and as no session.
All of it counts on the day (UTC) on which the session, or the response, began.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec

from agentvoicebox.engine.response import AUDIO_TOKEN_MS
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.queries import load
from agentvoicebox.storage.records import TimedBatch

_BY_DAY = load("usage_by_day")


class UsageEntry(msgspec.Struct, frozen=True):
    """Totals so far of a session (whose id is its `record_id`) or of a response."""

    record_id: str
    began_at: datetime
    ended_at: datetime
    audio_in_ms: int = 0
    audio_out_ms: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def figures(self) -> tuple[Any, ...]:
        """All fields but the id, in the order of `usage_upsert`."""
        return msgspec.structs.astuple(self)[1:]

    def merged(self, other: "UsageEntry | None") -> "UsageEntry":
        """Two entries of one record, merged."""
        if other is None:
            return self
        return UsageEntry(
            self.record_id,
            min(self.began_at, other.began_at),
            max(self.ended_at, other.ended_at),
            max(self.audio_in_ms, other.audio_in_ms),
            max(self.audio_out_ms, other.audio_out_ms),
            max(self.input_tokens, other.input_tokens),
            max(self.output_tokens, other.output_tokens),
        )


class DailyUsage(msgspec.Struct, frozen=True):
    """Usage of one tenant on one day (UTC)."""

    day: date
    sessions: int = 0
    connected_s: float = 0.0
    audio_in_s: float = 0.0
    audio_out_s: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0


class UsageReader:
    """Reads usage; `conversations` writes it."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def by_day(self, tenant_id: str, first: date, last: date) -> list[DailyUsage]:
        """The days from `first` to `last`, both included, on which the tenant had any usage. Raises StorageLost."""
        begins, ends = (datetime.combine(day, time.min, UTC) for day in (first, last + timedelta(days=1)))
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            rows = await connection.fetch(_BY_DAY, tenant_id, begins, ends)
        return [
            DailyUsage(
                row["day"],
                row["sessions"],
                round(row["connected_s"], 3),
                row["audio_in_ms"] / 1000,
                row["audio_out_ms"] / 1000,
                row["input_tokens"],
                row["output_tokens"],
            )
            for row in rows
        ]


def entries_of(timed: TimedBatch) -> Iterator[UsageEntry]:
    """The usage in a batch: of its session and of its responses, or of one REST request, which counts as no session."""
    at = datetime.fromtimestamp(timed.submitted_s, UTC)
    if timed.batch.is_of_call:
        yield UsageEntry(timed.batch.session_id, at, at, audio_in_ms=timed.batch.audio_in_ms)
    for record in timed.batch.records:
        if record.kind == "response":
            usage: Any = record.body.get("usage") or {}
            audio_tokens = (usage.get("output_token_details") or {}).get("audio_tokens", 0)
            yield UsageEntry(
                record.record_id,
                at,
                at,
                audio_in_ms=timed.batch.audio_in_ms if timed.batch.is_request else 0,
                audio_out_ms=audio_tokens * AUDIO_TOKEN_MS,
                input_tokens=usage.get("input_tokens", 0),
                output_tokens=usage.get("output_tokens", 0),
            )
