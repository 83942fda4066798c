"""The audit log: who did what to what, appended, never rewritten. Ids only; nobody's words."""

from datetime import UTC, datetime

import msgspec

from agentvoicebox.storage.conversations import to_jsonb
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.queries import load

_INSERT, _LATEST = load("audit_insert"), load("audit_latest")


class AuditEntry(msgspec.Struct, frozen=True):
    """One deed.

    Attributes:
        audit_id: unique within the tenant; the same deed written twice is one entry.
        at_s: wall time.
        actor: who (a principal's id, or a role of ours).
        action: what, as `noun.verb` (`session.opened`).
        subject: to what (an id).
    """

    audit_id: str
    at_s: float
    actor: str
    action: str
    subject: str
    trace_id: str = ""
    body: dict[str, object] = {}


class AuditLog:
    """Appends and reads."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def append(self, tenant_id: str, entry: AuditEntry) -> None:
        """Write one entry; idempotent. Raises StorageLost or StorageRefused."""
        at = datetime.fromtimestamp(entry.at_s, UTC)
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            await connection.execute(
                _INSERT, tenant_id, entry.audit_id, at, entry.actor, entry.action, entry.subject, entry.trace_id,
                to_jsonb(entry.body),
            )  # fmt: skip

    async def latest(self, tenant_id: str, *, limit: int = 100) -> list[AuditEntry]:
        """The newest entries, newest first. Raises StorageLost."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            rows = await connection.fetch(_LATEST, tenant_id, limit)
        return [
            AuditEntry(
                row["audit_id"], row["at"].timestamp(), row["actor"], row["action"], row["subject"], row["trace_id"],
                msgspec.json.decode(row["body"], type=dict[str, object]),
            )
            for row in rows
        ]  # fmt: skip
