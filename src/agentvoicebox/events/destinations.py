"""Destinations of a tenant's events: add, list, remove, try, and send again.

The secret that signs webhooks is stored encrypted, with the keys of AVB_HISTORY_KEYS, and shown once. A change and its entry in
the tenant's audit log are one transaction.
"""

import base64
import re
import secrets
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import ClientError
from agentvoicebox.ports.event_sink import Destination, DestinationKind
from agentvoicebox.storage import outbox
from agentvoicebox.storage.audit import AuditEntry, write
from agentvoicebox.storage.jsonb import to_jsonb
from agentvoicebox.storage.outgoing_event import EVENT_TYPES, TEST, is_type_pattern, matches, trial_event
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.queries import load
from agentvoicebox.storage.vault import NoHistoryKey, Vault

MOST_DESTINATIONS = 20  # of a tenant
MOST_TYPES = 32
LONGEST_TARGET = 2_048  # characters
SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
LEAST_SECRET_BYTES, MOST_SECRET_BYTES = 24, 64  # of Standard Webhooks
REPLAY_PAGE = 1_000

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_ID = re.compile(r"dest_[0-9a-f]{16}")
_COLUMNS = "destination_id, kind, target, types, created_at"
_LIST, _REPLAY, _DEAD = load("event_destinations_list"), load("events_since"), load("event_deliveries_dead")
_NOTE = load("tenant_note")
_GET = f"SELECT {_COLUMNS}, secret::text AS secret FROM event_destinations WHERE destination_id = $1"
_ADD = """
    INSERT INTO event_destinations (tenant_id, destination_id, kind, target, types, secret)
    VALUES ($1, $2, $3, $4, $5, $6::jsonb)
"""
_REMOVE = "DELETE FROM event_destinations WHERE tenant_id = $1 AND destination_id = $2 RETURNING destination_id"
_DELIVERY = "SELECT attempts, problem, dead_at FROM event_deliveries WHERE destination_id = $1 AND event_id = $2"


class UnknownDestination(ClientError):
    """The tenant has no such destination."""

    code = "destination_not_found"


class ListedDestination(msgspec.Struct, frozen=True):
    """A destination as administrators see it.

    Attributes:
        waiting: events that it has not had yet.
        dead: dead letters.
        problem: why the latest of the events that wait, or are dead, was not taken; "" when none was refused.
    """

    destination_id: str
    kind: DestinationKind
    target: str
    types: tuple[str, ...]
    created_at: datetime
    waiting: int
    dead: int
    problem: str


class Trial(msgspec.Struct, frozen=True):
    """What became of a test event: it is delivered when nothing is left of it."""

    is_delivered: bool
    attempts: int = 0
    problem: str = ""


class Destinations:
    """Reads and writes.

    Args:
        vault: encrypts and decrypts secrets.
    """

    def __init__(self, postgres: Postgres, vault: Vault, *, clock: Clock | None = None) -> None:
        self._postgres = postgres
        self._vault = vault
        self._clock = clock or SystemClock()

    async def add(
        self,
        tenant_id: str,
        kind: DestinationKind,
        target: str,
        *,
        types: tuple[str, ...] = (),
        secret: str = "",
        destination_id: str = "",
        audit_entry: AuditEntry | None = None,
    ) -> Destination:
        """Add a destination; it gets the events of everything that is recorded from now on.

        A webhook's `secret` is `whsec_…`; "" makes a new one; so does "" a new `destination_id`.

        Raises:
            ClientError: an argument is invalid, or there are too many. NoHistoryKey: the secret can't be encrypted.
        """
        _check_target(kind, target)
        _check_types(types)
        secret = _checked_secret(secret) if kind == "webhook" else ""
        destination_id = destination_id or new_destination_id()
        sealed: dict[str, object] = {}
        if secret:
            try:
                sealed = self._vault.seal((tenant_id, "events", destination_id), {"secret": secret})
            except NoHistoryKey as error:
                raise ClientError(
                    "The webhook's secret can't be encrypted: set AVB_HISTORY_KEYS; `openssl rand -base64 32` makes a key.",
                    code="no_history_key",
                ) from error
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            if await connection.fetchval("SELECT count(*) FROM event_destinations") >= MOST_DESTINATIONS:
                raise ClientError(f"A tenant may have {MOST_DESTINATIONS} destinations.", code="too_many_destinations")
            await connection.execute(_NOTE, tenant_id)  # the janitor knows tenants by their rows
            row = (tenant_id, destination_id, kind, target, list(types), to_jsonb(sealed))
            await connection.execute(_ADD, *row)
            await write(connection, tenant_id, audit_entry)
        return Destination(tenant_id, destination_id, kind, target, types, secret)

    async def get(self, tenant_id: str, destination_id: str) -> Destination | None:
        """One destination with its secret. Raises HistorySealed: it can't be decrypted. StorageLost."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            row = await connection.fetchrow(_GET, destination_id)
        if row is None:
            return None
        sealed = msgspec.json.decode(row["secret"], type=dict[str, Any])
        opened = self._vault.open((tenant_id, "events", destination_id), sealed)
        return Destination(
            tenant_id, destination_id, row["kind"], row["target"], tuple(row["types"]), opened.get("secret", "")
        )

    async def list_all(self, tenant_id: str) -> list[ListedDestination]:
        """All destinations of a tenant, the oldest first, with what they have not had."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            rows = await connection.fetch(_LIST, tenant_id)
        return [ListedDestination(**{**dict(row), "types": tuple(row["types"])}) for row in rows]

    async def remove(self, tenant_id: str, destination_id: str, *, audit_entry: AuditEntry | None = None) -> None:
        """Remove a destination; what it has not had is not sent. Raises UnknownDestination."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            if await connection.fetchval(_REMOVE, tenant_id, destination_id) is None:
                raise _unknown(destination_id)
            await write(connection, tenant_id, audit_entry)

    async def try_out(self, tenant_id: str, destination_id: str) -> str:
        """Have a test event delivered; returns its id. Raises UnknownDestination."""
        event = trial_event(tenant_id, destination_id, f"test_{secrets.token_hex(8)}", self._clock.wall_s())
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            await _require(connection, destination_id)
            await outbox.write_for(connection, tenant_id, destination_id, [event])
        return event.event_id

    async def trial(self, tenant_id: str, destination_id: str, event_id: str) -> Trial:
        """What became of a test event so far."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            row = await connection.fetchrow(_DELIVERY, destination_id, event_id)
        return Trial(is_delivered=True) if row is None else Trial(False, row["attempts"], row["problem"])

    async def replay_since(
        self, tenant_id: str, destination_id: str, since: datetime, *, audit_entry: AuditEntry | None = None
    ) -> int:
        """Send again every event recorded since then that is kept, of the destination's types; returns how many.

        Raises:
            UnknownDestination.
        """
        sent = 0
        after = (since, "")
        while True:
            async with self._postgres.tenant_transaction(tenant_id) as connection:
                types = await _require(connection, destination_id)
                if not sent:
                    await write(connection, tenant_id, audit_entry)
                    audit_entry = None
                rows = await connection.fetch(_REPLAY, tenant_id, *after, REPLAY_PAGE)
                wanted = [row for row in rows if row["type"] != TEST and matches(types, row["type"])]
                await outbox.send_again(connection, tenant_id, destination_id, wanted)
            sent += len(wanted)
            if len(rows) < REPLAY_PAGE:
                return sent
            after = (rows[-1]["recorded_at"], rows[-1]["event_id"])

    async def replay_dead(self, tenant_id: str, destination_id: str, *, audit_entry: AuditEntry | None = None) -> int:
        """Send the dead letters of a destination again; returns how many. Raises UnknownDestination."""
        sent = 0
        while True:
            async with self._postgres.tenant_transaction(tenant_id) as connection:
                await _require(connection, destination_id)
                if not sent:
                    await write(connection, tenant_id, audit_entry)
                    audit_entry = None
                rows = await connection.fetch(_DEAD, tenant_id, destination_id, REPLAY_PAGE)
                await outbox.send_again(connection, tenant_id, destination_id, rows)
            sent += len(rows)
            if len(rows) < REPLAY_PAGE:
                return sent


def new_destination_id() -> str:
    """An id for a destination."""
    return f"dest_{secrets.token_hex(8)}"


async def _require(connection: Any, destination_id: str) -> tuple[str, ...]:
    """Lock a destination until the transaction ends, and return its types. Raises UnknownDestination."""
    types = await connection.fetchval(
        "SELECT types FROM event_destinations WHERE destination_id = $1 FOR SHARE", destination_id
    )
    if types is None:
        raise _unknown(destination_id)
    return tuple(types)


def _unknown(destination_id: str) -> UnknownDestination:
    shown = destination_id if _ID.fullmatch(destination_id) else destination_id[:64]
    return UnknownDestination(f"There is no destination {shown!r}.")


def _check_target(kind: DestinationKind, target: str) -> None:
    if kind == "kafka":
        if not _TOPIC.fullmatch(target):
            raise ClientError(
                "A Kafka topic consists of up to 249 letters, digits, '.', '_' and '-'.",
                code="invalid_value",
                param="topic",
            )
        return
    try:
        parts = urlsplit(target)
        is_url = parts.scheme in ("https", "http") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_url = False
    if not is_url or len(target) > LONGEST_TARGET or not target.isprintable() or " " in target:
        raise ClientError(
            "The URL should be like https://example.com/webhooks.",
            code="invalid_value",
            param="url",
        )
    if "@" in parts.netloc:
        raise ClientError(
            "Leave user name and password out of the URL; the receiver verifies the signature.",
            code="invalid_value",
            param="url",
        )


def _check_types(types: tuple[str, ...]) -> None:
    unknown = [each for each in types if not is_type_pattern(each)]
    if unknown or len(types) > MOST_TYPES:
        raise ClientError(
            f"There is no type {unknown[0][:64]!r}; there are {', '.join(EVENT_TYPES)}; `agentvoicebox.tool.*` names several."
            if unknown
            else f"Give up to {MOST_TYPES} types.",
            code="invalid_value",
            param="types",
        )


def _checked_secret(secret: str) -> str:
    """The secret, or a new one for "". Raises ClientError."""
    if not secret:
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not LEAST_SECRET_BYTES <= len(key) <= MOST_SECRET_BYTES:
        raise ClientError(
            f"A secret is {SECRET_PREFIX} and {LEAST_SECRET_BYTES} to {MOST_SECRET_BYTES} bytes in base64.",
            code="invalid_value",
            param="secret",
        )
    return secret
