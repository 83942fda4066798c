"""Sessions, items and responses in PostgreSQL: written idempotently, read in pages from the newest back.

Writing the same record twice, or two records of one item in the wrong order, ends in the same rows; so whoever writes may
always try again.
"""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.queries import load
from agentvoicebox.storage.records import RecordBatch

PLACES_A_MICROSECOND = 1_000  # records of one batch that keep their order; the engine persists a few at a time
MOST_ITEMS = 500  # a page
_NEWEST = (1 << 63) - 1
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # the escape itself, not a backslash followed by "u0000"

_ITEM_UPSERT, _ITEM_DELETE, _ITEMS_LATEST = load("item_upsert"), load("item_delete"), load("items_latest")
_RESPONSE_UPSERT = load("response_upsert")
_SESSION_OPENED, _SESSION_CLOSED = load("session_opened"), load("session_closed")


class TimedBatch(msgspec.Struct, frozen=True):
    """A batch and when it was submitted (wall time)."""

    batch: RecordBatch
    submitted_s: float


class StoredItem(msgspec.Struct, frozen=True):
    """An item as it was last recorded."""

    item_id: str
    body: dict[str, object]


class Page(msgspec.Struct, frozen=True):
    """Items in conversation order (oldest first). `earlier` is the cursor of the page before this one; None at the start."""

    items: tuple[StoredItem, ...]
    earlier: str | None = None


class Conversations:
    """Reads and writes."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def write(self, batches: Sequence[TimedBatch]) -> None:
        """Record batches of one tenant in one transaction: all or nothing.

        Raises:
            ValueError: batches of several tenants.
            StorageLost, StorageRefused: nothing was written.
        """
        tenants = {each.batch.tenant_id for each in batches}
        if len(tenants) != 1:
            raise ValueError(f"one tenant a transaction, not {len(tenants)}")
        rows = _Rows()
        for each in batches:
            rows.add(each)
        async with self._postgres.tenant_transaction(tenants.pop()) as connection:
            for statement, arguments in rows.by_statement.items():
                await connection.executemany(statement, arguments)

    async def latest_items(
        self, tenant_id: str, session_id: str, *, limit: int = 100, before: str | None = None
    ) -> Page:
        """The newest items, or those before a cursor that an earlier page gave.

        `limit` is clamped to 1 to 500.

        Raises:
            ValueError: `before` is no cursor of ours.
        """
        limit = max(1, min(limit, MOST_ITEMS))
        position = _NEWEST if before is None else _position(before)
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            rows = await connection.fetch(_ITEMS_LATEST, tenant_id, session_id, position, limit + 1)
        is_more = len(rows) > limit
        rows = rows[:limit][::-1]
        items = tuple(
            StoredItem(row["item_id"], msgspec.json.decode(row["body"], type=dict[str, object])) for row in rows
        )
        return Page(items, _cursor(rows[0]["position"]) if is_more else None)


class _Rows:
    """Records as arguments of statements; rows of one statement keep their order."""

    def __init__(self) -> None:
        self.by_statement: dict[str, list[tuple[object, ...]]] = {}

    def add(self, timed: TimedBatch) -> None:
        tenant_id, session_id = timed.batch.tenant_id, timed.batch.session_id
        at = datetime.fromtimestamp(timed.submitted_s, UTC)
        first = int(timed.submitted_s * 1_000_000) * PLACES_A_MICROSECOND
        for place, record in enumerate(timed.batch.records):
            head, body = (tenant_id, session_id), to_jsonb(record.body)
            match record.kind:
                case "item":
                    self._append(_ITEM_UPSERT, *head, record.record_id, first + place, body)
                case "item_deleted":
                    self._append(_ITEM_DELETE, *head, record.record_id, first + place, at)
                case "response":
                    self._append(_RESPONSE_UPSERT, *head, record.record_id, first + place, body)
                case "session_opened":
                    self._append(_SESSION_OPENED, *head, at, body)
                case "session_closed":
                    self._append(_SESSION_CLOSED, *head, at, body)
                case other:
                    raise ValueError(f"unknown kind of record {other!r}")

    def _append(self, statement: str, *arguments: object) -> None:
        self.by_statement.setdefault(statement, []).append(arguments)


def to_jsonb(body: dict[str, object]) -> str:
    """JSON text that jsonb can hold: PostgreSQL has no NUL in text, so it becomes the replacement character."""
    encoded = msgspec.json.encode(body).decode()
    return _NUL.sub(r"\1\\ufffd", encoded) if "\\u0000" in encoded else encoded


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(position.to_bytes(8, "big")).decode().rstrip("=")


def _position(cursor: str) -> int:
    decoded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    if len(decoded) != 8 or (position := int.from_bytes(decoded, "big")) > _NEWEST:
        raise ValueError("no cursor of a page of items")
    return position
