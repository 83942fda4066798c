"""The audit log: which actor did what to which subject; append-only. Holds ids only, never what people said."""

import secrets
from datetime import UTC, datetime
from typing import Any

import msgspec

from agentvoicebox.errors import ClientError
from agentvoicebox.storage import outbox
from agentvoicebox.storage.jsonb import to_jsonb
from agentvoicebox.storage.outgoing_event import AUDIT_LANE, AUDIT_RECORDED, OutgoingEvent, new_event, place_at
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.queries import load

_INSERT, _LATEST = load("audit_insert"), load("audit_latest")
_AT = "SELECT at FROM audit_logs WHERE tenant_id = $1 AND audit_id = $2"
_BEFORE = load("audit_before")


class AuditEntry(msgspec.Struct, frozen=True):
    """One action.

    Attributes:
        audit_id: unique within the tenant; the same entry written twice is stored once.
        at_s: wall time.
        actor: the acting principal's id, or one of our roles.
        action: `noun.verb` (`session.opened`).
        subject: the id it was done to.
    """

    audit_id: str
    at_s: float
    actor: str
    action: str
    subject: str
    trace_id: str = ""
    body: dict[str, object] = {}


def new_entry(
    at_s: float, actor: str, action: str, subject: str, *, body: dict[str, object] | None = None, trace_id: str = ""
) -> AuditEntry:
    """An entry with a new id."""
    return AuditEntry(f"aud_{secrets.token_hex(10)}", at_s, actor, action, subject, trace_id, body or {})


def audit_event(tenant_id: str, entry: AuditEntry) -> OutgoingEvent:
    """The event of an entry."""
    return new_event(
        AUDIT_RECORDED,
        tenant_id=tenant_id,
        lane=AUDIT_LANE,
        position=place_at(entry.at_s),
        at_s=entry.at_s,
        record_id=entry.audit_id,
        subject=entry.subject,
        data={
            "audit_id": entry.audit_id,
            "actor": entry.actor,
            "action": entry.action,
            "subject": entry.subject,
            "details": entry.body,
        },
    )


async def write(connection: Any, tenant_id: str, entry: AuditEntry | None) -> None:
    """Write an entry within the caller's `tenant_transaction`, so that both are stored or neither; so is its event."""
    if entry is not None:
        await connection.execute(
            _INSERT, tenant_id, entry.audit_id, datetime.fromtimestamp(entry.at_s, UTC), entry.actor, entry.action,
            entry.subject, entry.trace_id, to_jsonb(entry.body),
        )  # fmt: skip
        await outbox.write(connection, tenant_id, [audit_event(tenant_id, entry)])


class AuditLog:
    """Appends and reads."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def append(self, tenant_id: str, entry: AuditEntry) -> None:
        """Write one entry; idempotent. Raises StorageLost or StorageRefused."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            await write(connection, tenant_id, entry)

    async def latest(self, tenant_id: str, *, limit: int = 100) -> list[AuditEntry]:
        """The newest entries, newest first. Raises StorageLost."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            rows = await connection.fetch(_LATEST, tenant_id, limit)
        return [_entry(row) for row in rows]

    async def before(self, tenant_id: str, audit_id: str, *, limit: int) -> list[AuditEntry]:
        """The entries before one of them, newest first.

        Raises:
            ClientError: there is no such entry. StorageLost.
        """
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            at = await connection.fetchval(_AT, tenant_id, audit_id)
            if at is None:
                raise ClientError("`after` is the id of one of the list.", code="invalid_value", param="after")
            rows = await connection.fetch(_BEFORE, tenant_id, at, audit_id, limit)
        return [_entry(row) for row in rows]


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        row["audit_id"], row["at"].timestamp(), row["actor"], row["action"], row["subject"], row["trace_id"],
        msgspec.json.decode(row["body"], type=dict[str, object]),
    )  # fmt: skip
