"""Writes sessions, items, responses and their usage to PostgreSQL; `history` and `usage` read them back.

Writing the same record twice, or two records of one item in the wrong order, gives the same rows; so writes may
always be retried.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.storage.jsonb import to_jsonb
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.privacy import protected
from agentvoicebox.storage.queries import load
from agentvoicebox.storage.records import TimedBatch
from agentvoicebox.storage.rules import RuleBook, Words
from agentvoicebox.storage.usage import UsageEntry, entries_of
from agentvoicebox.storage.vault import Vault

_ITEM_UPSERT, _ITEM_DELETE, _RESPONSE_UPSERT = load("item_upsert"), load("item_delete"), load("response_upsert")
_SESSION_SEEN, _USAGE_UPSERT = load("session_seen"), load("usage_upsert")


class Conversations:
    """Writes records.

    Args:
        rules: what becomes of people's words; None: they are kept.
        vault: seals them where a rule says so.
        mask: masks identifiers where a rule says so.
    """

    def __init__(
        self,
        postgres: Postgres,
        rules: RuleBook | None = None,
        vault: Vault | None = None,
        mask: IdentifierMask | None = None,
    ) -> None:
        self._postgres = postgres
        self._rules = rules
        self._vault = vault or Vault()
        self._mask = mask or IdentifierMask()

    async def write(self, batches: Sequence[TimedBatch]) -> None:
        """Write batches of one tenant in one transaction: all or nothing.

        Raises:
            ValueError: batches of several tenants.
            NoHistoryKey: the tenant's records must be encrypted, and there is no key.
            StorageLost, StorageRefused: nothing was written.
        """
        tenants = {each.batch.tenant_id for each in batches}
        if len(tenants) != 1:
            raise ValueError(f"one tenant a transaction, not {len(tenants)}")
        tenant_id = tenants.pop()
        rows = _Rows(
            "keep" if self._rules is None else (await self._rules.of(tenant_id)).words, self._vault, self._mask
        )
        for each in batches:
            rows.add(each)
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            for statement, arguments in rows.by_statement().items():
                await connection.executemany(statement, arguments)


class _Seen(msgspec.Struct):
    """What the batches of one transaction contain about a session."""

    opened_at: datetime
    last_at: datetime
    closed_at: datetime | None = None
    opened: str | None = None
    closed: str | None = None


class _Rows:
    """Records as arguments of statements; rows of one statement keep their order.

    Rows that later batches of a session write again (the session's own and its usage) are merged, and sorted: recorders
    that write the same sessions at the same time wait for each other, but never deadlock.
    """

    def __init__(self, words: Words, vault: Vault, mask: IdentifierMask) -> None:
        self._words = words
        self._vault = vault
        self._mask = mask
        self._written: dict[str, list[tuple[object, ...]]] = {}
        self._sessions: dict[tuple[str, str], _Seen] = {}
        self._usage: dict[tuple[str, str, str], UsageEntry] = {}

    def add(self, timed: TimedBatch) -> None:
        head = (timed.batch.tenant_id, timed.batch.session_id)
        if not timed.batch.is_request:
            self._add_session(timed, head)
        for entry in entries_of(timed):
            key = (*head, entry.record_id)
            self._usage[key] = entry.merged(self._usage.get(key))

    def _add_session(self, timed: TimedBatch, head: tuple[str, str]) -> None:
        at = datetime.fromtimestamp(timed.submitted_s, UTC)
        seen = self._sessions.setdefault(head, _Seen(at, at))
        seen.opened_at, seen.last_at = min(seen.opened_at, at), max(seen.last_at, at)
        for position, record in timed.placed():
            body = to_jsonb(
                protected(
                    record,
                    words=self._words,
                    vault=self._vault,
                    mask=self._mask,
                    tenant_id=head[0],
                    session_id=head[1],
                )
            )
            match record.kind:
                case "item":
                    self._append(_ITEM_UPSERT, *head, record.record_id, position, body)
                case "item_deleted":
                    self._append(_ITEM_DELETE, *head, record.record_id, position, at)
                case "response":
                    self._append(_RESPONSE_UPSERT, *head, record.record_id, position, body)
                case "session_opened":
                    seen.opened = seen.opened or body
                case "session_closed":
                    seen.closed_at, seen.closed = seen.closed_at or at, seen.closed or body
                case other:
                    raise ValueError(f"unknown kind of record {other!r}")

    def by_statement(self) -> dict[str, list[tuple[object, ...]]]:
        """Every statement with its arguments."""
        sessions = [
            (*head, seen.opened_at, seen.last_at, seen.closed_at, seen.opened, seen.closed)
            for head, seen in sorted(self._sessions.items())
        ]
        usage = [(*key, *entry.figures()) for key, entry in sorted(self._usage.items())]
        return self._written | {_SESSION_SEEN: sessions, _USAGE_UPSERT: usage}

    def _append(self, statement: str, *arguments: object) -> None:
        self._written.setdefault(statement, []).append(arguments)
