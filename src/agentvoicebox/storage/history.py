"""What was recorded, read back: sessions and their items, in pages, one tenant at a time.

A page begins behind the id that ended the one before. So pages have no gap and no repeat while records are added, and whoever
turns to the thousandth page pays as little as for the first.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec

from agentvoicebox.errors import ClientError
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.privacy import place_of
from agentvoicebox.storage.queries import load
from agentvoicebox.storage.vault import Vault

if TYPE_CHECKING:
    from agentvoicebox.storage.postgres import Connection

Order = Literal["asc", "desc"]
MOST = 100  # records a page

# The planner knows badly how long a session is, and would rather read and sort all of it than take the page that lies ready in
# the index (`conversation_items_latest`).
IN_ORDER = "SET LOCAL enable_sort = off"

_EARLIEST, _LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_LAST_POSITION = (1 << 63) - 1
_ITEMS = {"asc": load("items_after"), "desc": load("items_before")}
_SESSIONS = {"asc": load("sessions_after"), "desc": load("sessions_before")}
_ITEM_POSITION, _SESSION = load("item_position"), load("session_find")

Kept = TypeVar("Kept")


class UnknownCursor(ClientError):
    """`after` names nothing that the list could hold."""

    code = "invalid_cursor"


class StoredItem(msgspec.Struct, frozen=True):
    """An item as it was last recorded (`engine.outputs.record_item`)."""

    item_id: str
    body: dict[str, Any]


class StoredSession(msgspec.Struct, frozen=True):
    """A session.

    Attributes:
        opened_s: wall time of its first record.
        closed_s: wall time of its end; None while it goes on, or when nobody recorded the end.
        opened, closed: the records of both; empty when there is none.
    """

    session_id: str
    opened_s: float
    closed_s: float | None
    opened: dict[str, Any]
    closed: dict[str, Any]


class Page(msgspec.Struct, Generic[Kept], frozen=True):
    """Records in the order asked for; `has_more` behind the last of them."""

    records: tuple[Kept, ...]
    has_more: bool


class History:
    """Reads. What was encrypted is opened with `vault`; HistorySealed is raised where none of its keys does."""

    def __init__(self, postgres: Postgres, vault: Vault | None = None) -> None:
        self._postgres = postgres
        self._vault = vault or Vault()

    async def sessions(
        self, tenant_id: str, *, after: str | None = None, limit: int = MOST, order: Order = "desc"
    ) -> Page[StoredSession]:
        """Sessions of a tenant by the time they began.

        Args:
            tenant_id: whose.
            after: id of the session that ended the page before; None for the first page.
            limit: 1 to 100.
            order: `desc` gives the newest first.

        Raises:
            UnknownCursor: the tenant has no session `after`.
            StorageLost: PostgreSQL is away.
        """
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            begins: tuple[datetime, str] = (_LATEST, "") if order == "desc" else (_EARLIEST, "")
            if after is not None:
                row = await connection.fetchrow(_SESSION, tenant_id, after)
                if row is None:
                    raise UnknownCursor(f"There is no session {after[:64]!r} to go on after.", param="after")
                begins = (row["opened_at"], after)
            rows = await connection.fetch(_SESSIONS[order], tenant_id, *begins, limit + 1)
        return _page([self._session(tenant_id, row) for row in rows], limit)

    async def session(self, tenant_id: str, session_id: str) -> StoredSession | None:
        """One session, or None when the tenant has none of this id. Raises StorageLost."""
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            row = await connection.fetchrow(_SESSION, tenant_id, session_id)
        return None if row is None else self._session(tenant_id, row)

    async def items(
        self,
        tenant_id: str,
        session_id: str,
        *,
        after: str | None = None,
        limit: int = MOST,
        order: Order = "desc",
    ) -> Page[StoredItem] | None:
        """Items of a session in the order of the conversation; None when the tenant has no such session.

        Args:
            tenant_id: whose.
            session_id: of which session.
            after: id of the item that ended the page before (it may have been deleted since); None for the first page.
            limit: 1 to 100.
            order: `desc` gives the newest first.

        Raises:
            UnknownCursor: the session never had an item `after`.
            StorageLost: PostgreSQL is away.
        """
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            position = _LAST_POSITION if order == "desc" else -1
            if after is not None:
                position = await self._position(connection, tenant_id, session_id, after)
            await connection.execute(IN_ORDER)
            rows = await connection.fetch(_ITEMS[order], tenant_id, session_id, position, limit + 1)
            if not rows and await connection.fetchrow(_SESSION, tenant_id, session_id) is None:
                return None
        items = [
            StoredItem(row["item_id"], self._opened(row["body"], tenant_id, session_id, "item", row["item_id"]))
            for row in rows
        ]
        return _page(items, limit)

    async def _position(self, connection: "Connection", tenant_id: str, session_id: str, item_id: str) -> int:
        found: int | None = await connection.fetchval(_ITEM_POSITION, tenant_id, session_id, item_id)
        if found is None and await connection.fetchrow(_SESSION, tenant_id, session_id) is not None:
            raise UnknownCursor(f"The session has no item {item_id[:64]!r} to go on after.", param="after")
        return _LAST_POSITION if found is None else found

    def _session(self, tenant_id: str, row: Any) -> StoredSession:
        closed_at: datetime | None = row["closed_at"]
        name: str = row["session_id"]
        return StoredSession(
            name,
            row["opened_at"].timestamp(),
            None if closed_at is None else closed_at.timestamp(),
            self._opened(row["opened"], tenant_id, name, "session_opened"),
            self._opened(row["closed"], tenant_id, name, "session_closed"),
        )

    def _opened(self, body: str, tenant_id: str, session_id: str, kind: str, record_id: str = "") -> dict[str, Any]:
        place = place_of(tenant_id, session_id, kind, record_id)
        return self._vault.open(place, msgspec.json.decode(body, type=dict[str, Any]))


def _page(records: Sequence[Kept], limit: int) -> Page[Kept]:
    return Page(tuple(records[:limit]), len(records) > limit)
