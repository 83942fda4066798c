"""Reads recorded sessions, their items and their turns, in pages, one tenant at a time.

A page begins after the id that ended the previous page. So pages have no gap and no repetition while records are added, and
the thousandth page costs as little as the first. Items that still wait for PostgreSQL are read from the stream
(`tail`), so a page is the same before and after they are written.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import ClientError
from agentvoicebox.storage.postgres import Postgres, StatementCancelled
from agentvoicebox.storage.privacy import place_of
from agentvoicebox.storage.queries import load
from agentvoicebox.storage.session_filter import (
    EVERY_SESSION,
    MOST_SEARCHED,
    OPEN_AT_MOST,
    SEARCH_TIMEOUT_MS,
    SessionFilter,
    is_open,
)
from agentvoicebox.storage.tail import PlacedItem, Tail
from agentvoicebox.storage.vault import Vault

if TYPE_CHECKING:
    from agentvoicebox.storage.postgres import Connection

Order = Literal["asc", "desc"]
MOST = 100  # records per page

# The planner estimates the length of a session badly, and would rather read and sort all of it than take the page from
# the index (`conversation_items_latest`).
IN_ORDER = "SET LOCAL enable_sort = off"

_LAST_POSITION = (1 << 63) - 1
_ITEMS = {"asc": load("items_after"), "desc": load("items_before")}
_SESSIONS = {"asc": load("sessions_after"), "desc": load("sessions_before")}
_TURNS = {"asc": load("turns_after"), "desc": load("turns_before")}
_ITEM_POSITION, _TURN_POSITION = load("item_position"), load("turn_position")
_ITEMS_NAMED, _SESSION, _SAYING = load("items_named"), load("session_find"), load("sessions_saying")

Kept = TypeVar("Kept")


class UnknownCursor(ClientError):
    """`after` names no element of the list."""

    code = "invalid_cursor"


class SearchTooSlow(ClientError):
    """A search was given up."""

    code = "invalid_value"


class StoredItem(msgspec.Struct, frozen=True):
    """An item as it was last recorded (`engine.outputs.record_item`)."""

    item_id: str
    body: dict[str, Any]


class StoredTurn(msgspec.Struct, frozen=True):
    """The latency ledger of an answered turn, as `agentvoicebox.turn` says it at the end of the response (phase `done`)."""

    response_id: str
    body: dict[str, Any]


class StoredSession(msgspec.Struct, frozen=True):
    """A session.

    Attributes:
        opened_s: wall time of its first record.
        closed_s: wall time of its end; None while it is open, or when its end was not recorded.
        opened, closed: the records of both; empty when there is none.
        is_open: it goes on.
        turns: number of its turns that are stored.
        has_audio: its audio is stored, at least in part.
        verdict: what its replay showed (`interactions.verdict.ReplayVerdict`); empty while that is unknown.
    """

    session_id: str
    opened_s: float
    closed_s: float | None
    opened: dict[str, Any]
    closed: dict[str, Any]
    is_open: bool
    turns: int
    has_audio: bool
    verdict: dict[str, Any]


class Page(msgspec.Struct, Generic[Kept], frozen=True):
    """Records in the requested order; `has_more`: there are more after the last."""

    records: tuple[Kept, ...]
    has_more: bool


class History:
    """Reads sessions, items and turns.

    Args:
        vault: decrypts what was encrypted; HistorySealed is raised where none of its keys does.
        tail: items that are not written yet; None: only written ones are read.
    """

    def __init__(
        self, postgres: Postgres, vault: Vault | None = None, tail: Tail | None = None, *, clock: Clock | None = None
    ) -> None:
        self._postgres = postgres
        self._vault = vault or Vault()
        self._tail = tail
        self._clock = clock or SystemClock()

    async def sessions(
        self,
        tenant_id: str,
        *,
        after: str | None = None,
        limit: int = MOST,
        order: Order = "desc",
        only: SessionFilter = EVERY_SESSION,
    ) -> Page[StoredSession]:
        """Sessions of a tenant by the time they began.

        Args:
            tenant_id: the tenant.
            after: id of the session that ended the previous page; None for the first page.
            limit: 1 to 100.
            order: `desc` gives the newest first.
            only: which of them.

        Raises:
            UnknownCursor: the tenant has no session `after`.
            SearchTooSlow: the search took longer than SEARCH_TIMEOUT_MS.
            StorageLost: PostgreSQL is away.
        """
        try:
            async with self._postgres.tenant_transaction(tenant_id) as connection:
                if only != EVERY_SESSION:
                    await connection.execute(f"SET LOCAL statement_timeout = {SEARCH_TIMEOUT_MS}")
                rows = await self._found(connection, tenant_id, after, limit, order, only)
        except StatementCancelled as error:
            if only == EVERY_SESSION:
                raise
            raise SearchTooSlow(
                f"The search took longer than {SEARCH_TIMEOUT_MS / 1000:g} s. Give fewer days with `from` and `to`.",
                param="q" if only.words or only.id_prefix else "from",
            ) from error
        return _page([self._session(tenant_id, row) for row in rows], limit)

    async def _found(
        self, connection: "Connection", tenant_id: str, after: str | None, limit: int, order: Order, only: SessionFilter
    ) -> list[Any]:
        begins = (only.ends, "") if order == "desc" else (only.begins, "")
        if after is not None:
            row = await connection.fetchrow(_SESSION, tenant_id, after)
            if row is None:
                raise UnknownCursor(f"There is no session {after[:64]!r} to continue after.", param="after")
            begins = (row["opened_at"], after)
        named: list[str] | None = None
        if only.words:
            search = (only.begins, only.ends, MOST_SEARCHED, only.patterns())
            named = [row["session_id"] for row in await connection.fetch(_SAYING, tenant_id, *search)]
        return await connection.fetch(
            _SESSIONS[order],
            tenant_id,
            *begins,
            only.begins if order == "desc" else only.ends,
            limit + 1,
            only.agent,
            only.is_open,
            self._now() - OPEN_AT_MOST,
            only.id_prefix,
            named,
        )

    async def session(self, tenant_id: str, session_id: str) -> StoredSession | None:
        """One session, or None when the tenant has none with this id. Raises StorageLost."""
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
            tenant_id: the tenant.
            session_id: the session.
            after: id of the item that ended the previous page (it may have been deleted since); None for the first page.
            limit: 1 to 100.
            order: `desc` gives the newest first.

        Raises:
            UnknownCursor: the session never had an item `after`.
            StorageLost: PostgreSQL is away.
        """
        tail = {} if self._tail is None else await self._tail.of(tenant_id, session_id)  # first: it only shrinks
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            for row in await connection.fetch(_ITEMS_NAMED, tenant_id, session_id, list(tail)) if tail else ():
                tail[row["item_id"]] = tail[row["item_id"]].joined(self._placed(row, tenant_id, session_id))
            position = _LAST_POSITION if order == "desc" else -1
            if after is not None:
                known = tail.get(after)
                position = known.position if known else await self._position(connection, tenant_id, session_id, after)
            await connection.execute(IN_ORDER)
            rows = await connection.fetch(_ITEMS[order], tenant_id, session_id, position, limit + 1 + len(tail))
            if not rows and not tail and await connection.fetchrow(_SESSION, tenant_id, session_id) is None:
                return None
        found = [self._placed(row, tenant_id, session_id) for row in rows if row["item_id"] not in tail]
        found += [each for each in tail.values() if not each.is_deleted and _is_beyond(each.position, position, order)]
        found.sort(key=lambda each: each.position, reverse=order == "desc")
        return _page([StoredItem(each.item_id, each.body) for each in found], limit)

    async def turns(
        self,
        tenant_id: str,
        session_id: str,
        *,
        after: str | None = None,
        limit: int = MOST,
        order: Order = "desc",
    ) -> Page[StoredTurn] | None:
        """Answered turns of a session; None when the tenant has no such session.

        Args:
            tenant_id: the tenant.
            session_id: the session.
            after: id of the response that ended the previous page; None for the first page.
            limit: 1 to 100.
            order: `desc` gives the newest first.

        Raises:
            UnknownCursor: the session has no turn `after`.
            StorageLost: PostgreSQL is away.
        """
        async with self._postgres.tenant_transaction(tenant_id) as connection:
            if await connection.fetchrow(_SESSION, tenant_id, session_id) is None:
                return None
            position: int | None = _LAST_POSITION if order == "desc" else -1
            if after is not None:
                position = await connection.fetchval(_TURN_POSITION, tenant_id, session_id, after)
                if position is None:
                    raise UnknownCursor(f"The session has no turn {after[:64]!r} to continue after.", param="after")
            rows = await connection.fetch(_TURNS[order], tenant_id, session_id, position, limit + 1)
        found = [StoredTurn(row["response_id"], msgspec.json.decode(row["body"], type=dict[str, Any])) for row in rows]
        return _page(found, limit)

    async def _position(self, connection: "Connection", tenant_id: str, session_id: str, item_id: str) -> int:
        found: int | None = await connection.fetchval(_ITEM_POSITION, tenant_id, session_id, item_id)
        if found is None and await connection.fetchrow(_SESSION, tenant_id, session_id) is not None:
            raise UnknownCursor(f"The session has no item {item_id[:64]!r} to continue after.", param="after")
        return _LAST_POSITION if found is None else found

    def _placed(self, row: Any, tenant_id: str, session_id: str) -> PlacedItem:
        name: str = row["item_id"]
        body = self._opened(row["body"], tenant_id, session_id, "item", name)
        return PlacedItem(name, row["position"], row["revision"], body, is_deleted=row["deleted_at"] is not None)

    def _session(self, tenant_id: str, row: Any) -> StoredSession:
        closed_at: datetime | None = row["closed_at"]
        name: str = row["session_id"]
        return StoredSession(
            name,
            row["opened_at"].timestamp(),
            None if closed_at is None else closed_at.timestamp(),
            self._opened(row["opened"], tenant_id, name, "session_opened"),
            self._opened(row["closed"], tenant_id, name, "session_closed"),
            is_open=is_open(row["opened_at"], closed_at, self._now()),
            turns=row["turns"],
            has_audio=row["has_audio"],
            verdict=msgspec.json.decode(row["verdict"], type=dict[str, Any]),
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall_s(), UTC)

    def _opened(self, body: str, tenant_id: str, session_id: str, kind: str, record_id: str = "") -> dict[str, Any]:
        place = place_of(tenant_id, session_id, kind, record_id)
        return self._vault.open(place, msgspec.json.decode(body, type=dict[str, Any]))


def _is_beyond(position: int, begins: int, order: Order) -> bool:
    return position < begins if order == "desc" else position > begins


def _page(records: Sequence[Kept], limit: int) -> Page[Kept]:
    return Page(tuple(records[:limit]), len(records) > limit)
