"""Writes sessions, items, responses, turns, audio, usage and events to PostgreSQL; `history` and `usage` read them back.

Writing the same record twice, or two records of one item in the wrong order, gives the same rows; so writes may
always be retried.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from agentvoicebox.engine.effects import Persist
from agentvoicebox.privacy.identifiers import IdentifierMask
from agentvoicebox.storage import outbox
from agentvoicebox.storage.call_audio import audio_place
from agentvoicebox.storage.jsonb import to_jsonb
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.privacy import protected
from agentvoicebox.storage.queries import load
from agentvoicebox.storage.record_events import events_of
from agentvoicebox.storage.records import AUDIO, TimedBatch
from agentvoicebox.storage.rules import RetentionRules, RuleBook
from agentvoicebox.storage.usage import UsageEntry, entries_of
from agentvoicebox.storage.vault import Vault

_ITEM_UPSERT, _ITEM_DELETE, _RESPONSE_UPSERT = load("item_upsert"), load("item_delete"), load("response_upsert")
_AUDIO_INSERT = load("audio_insert")
_TURN_INSERT, _SESSION_SEEN, _USAGE_UPSERT = load("turn_insert"), load("session_seen"), load("usage_upsert")
_TABLES = {
    _ITEM_UPSERT: "conversation_items",
    _ITEM_DELETE: "conversation_items",
    _RESPONSE_UPSERT: "responses",
    _AUDIO_INSERT: "call_audio",
    _TURN_INSERT: "turns",
    _SESSION_SEEN: "sessions",
    _USAGE_UPSERT: "usage_entries",
}


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

    async def write(self, batches: Sequence[TimedBatch]) -> dict[str, int]:
        """Write batches of one tenant in one transaction: all or nothing. Returns the number of rows by table.

        Raises:
            ValueError: batches of several tenants.
            NoHistoryKey: the tenant's records must be encrypted, and there is no key.
            StorageLost, StorageRefused: nothing was written.
        """
        tenants = {each.batch.tenant_id for each in batches}
        if len(tenants) != 1:
            raise ValueError(f"one tenant a transaction, not {len(tenants)}")
        tenant_id = tenants.pop()
        rules = RetentionRules() if self._rules is None else await self._rules.of(tenant_id)
        rows = _Rows(rules, self._vault, self._mask)
        for each in batches:
            rows.add(each)
        counts = dict.fromkeys(_TABLES.values(), 0)
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            for statement, arguments in rows.by_statement().items():
                await connection.executemany(statement, arguments)
                counts[_TABLES[statement]] += len(arguments)
            await outbox.write_of_records(
                connection, tenant_id, batches, lambda each: events_of(each, words=rules.words, mask=self._mask)
            )
        return counts


class _Seen(msgspec.Struct):
    """What the batches of one transaction contain about a session."""

    opened_at: datetime
    last_at: datetime
    closed_at: datetime | None = None
    opened: str | None = None
    closed: str | None = None
    agent: str = ""
    verdict: str | None = None


class _Rows:
    """Records as arguments of statements; rows of one statement keep their order.

    Rows that later batches of a session write again (the session's own and its usage) are merged, and sorted: recorders
    that write the same sessions at the same time wait for each other, but never deadlock.
    """

    def __init__(self, rules: RetentionRules, vault: Vault, mask: IdentifierMask) -> None:
        self._rules = rules
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
            if record.kind == AUDIO:
                self._add_audio(head, position, record)
                continue
            body = to_jsonb(
                protected(
                    record,
                    words=self._rules.words,
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
                    seen.agent = seen.agent or str(record.body.get("agent") or "")
                case "session_closed":
                    seen.closed_at, seen.closed = seen.closed_at or at, seen.closed or body
                case "turn":
                    self._append(_TURN_INSERT, *head, record.record_id, position, body)
                case "session_verdict":
                    seen.verdict = seen.verdict or body
                case other:
                    raise ValueError(f"unknown kind of record {other!r}")

    def _add_audio(self, head: tuple[str, str], position: int, record: Persist) -> None:
        """A piece of audio, unless the tenant's rule has changed since the call began."""
        data = record.body.get("data")
        if not self._rules.keeps_audio or not isinstance(data, bytes):
            return
        key = ""
        if self._rules.words == "encrypt":
            key, data = self._vault.seal_bytes(audio_place(*head, record.record_id), data)
        self._append(_AUDIO_INSERT, *head, record.record_id, position, key, data)

    def by_statement(self) -> dict[str, list[tuple[object, ...]]]:
        """Every statement with its arguments."""
        sessions = [
            (*head, seen.opened_at, seen.last_at, seen.closed_at, seen.opened, seen.closed, seen.agent, seen.verdict)
            for head, seen in sorted(self._sessions.items())
        ]
        usage = [(*key, *entry.figures()) for key, entry in sorted(self._usage.items())]
        return self._written | {_SESSION_SEEN: sessions, _USAGE_UPSERT: usage}

    def _append(self, statement: str, *arguments: object) -> None:
        self._written.setdefault(statement, []).append(arguments)
