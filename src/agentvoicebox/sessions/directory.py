"""The owner of each session: one hash per session, kept alive by heartbeats, with notices of every change.

While the store is away each gateway relies on what it knows of its own sessions, and the next heartbeat writes all of it
to the store. Cleanup is in `janitor`.

Invariant: a session has one owner, named by a token in its hash. A gateway that takes a session over must name the owner it saw,
so of several that try one succeeds; from then on the former owner can't write to the session (scripts in `broker/lua` check it).
"""

import asyncio
import contextlib
import math
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, Script
from agentvoicebox.broker.subscriber import Subscriber
from agentvoicebox.clock import Clock
from agentvoicebox.engine import session_format
from agentvoicebox.errors import BrokerLost, NewerFormat
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.sessions.store_time import GivenTime, StoreTime
from agentvoicebox.telemetry.logs import get_logger

# fields that only gateways see: the owner's token, the id of the key it was opened with, the format that a reader must know,
# the store's time until which the session lives without another heartbeat, and the hash of the token that a browser resumes with
OWNER, KEY, FORMAT, UNTIL, RESUME = "owner", "key", "format", "until", "resume"
FOR_GATEWAYS = (OWNER, KEY, FORMAT, UNTIL, RESUME)
_STORED_ALONE = (OWNER, UNTIL, "tenant_id")  # written anew with each heartbeat
# queued for a slow reader; beyond it the oldest is dropped, because the directory itself is authoritative
NOTICES_MAX = 1024


class SessionNotice(msgspec.Struct, frozen=True):
    """A change of a session.

    Attributes:
        kind: `opened`, `changed`, or `closed`.
        fields: the session's present fields; empty when closed.
    """

    kind: str
    session: SessionRef
    fields: dict[str, str] = {}


log = get_logger(__name__)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SessionNotice)


class _Notices:
    def __init__(self) -> None:
        self.waiting: asyncio.Queue[SessionNotice] = asyncio.Queue(NOTICES_MAX)

    def on_message(self, payload: bytes) -> None:
        if self.waiting.full():
            self.waiting.get_nowait()
        self.waiting.put_nowait(_decoder.decode(payload))

    def on_gap(self) -> None:
        """Readers that need certainty call `get`."""


class SessionDirectory:
    """The sessions of one store, as one gateway sees and writes them.

    Args:
        connection: the connection to the store (`RedisBroker.connection`).
        subscriber: for notices (`RedisBroker.subscriber`).
        time: the store's, by default.
        clock: in place of the store's time, for tests.

    Attributes:
        on_lost: called with (session, token) when a heartbeat finds that a session of this process has another owner.
    """

    def __init__(
        self,
        connection: Connection,
        subscriber: Subscriber,
        *,
        time: StoreTime | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._connection = connection
        self._subscriber = subscriber
        self._time = (time or StoreTime(connection)) if clock is None else GivenTime(clock)
        self._own: dict[SessionRef, dict[str, str]] = {}
        self._tokens: dict[SessionRef, str] = {}
        self._closed: set[SessionRef] = set()  # since the last heartbeat
        self._write_session = Script("write_session")
        self._take_over = Script("take_over")
        self.on_lost: Callable[[SessionRef, str], None] = _ignore_lost

    async def open(self, session: SessionRef, fields: Mapping[str, str], *, owner: str = "") -> None:
        """Add a session of this process. Raises BrokerLost; the session is then known here only, until a heartbeat succeeds.

        Fields are short facts about ownership and state (gateway, agent, model, …), never what people said. `owner` is the token
        of its writer (`new_owner`); empty: the directory creates one.
        """
        self._own[session] = {**fields, FORMAT: str(session_format.WRITTEN)}
        self._tokens[session] = owner or self._tokens.get(session) or new_owner()
        await self._write([session], "opened")

    async def find(self, session: SessionRef) -> dict[str, str] | None:
        """As `get`, with the fields that only gateways see: a takeover needs the owner's token. Raises BrokerLost.

        The hash of an expired session stands until the janitor sweeps. One with a time to live was last written by an earlier
        version, and the store drops it in time.
        """

        async def read() -> Any:
            pipe = self._connection.commands.pipeline(transaction=False)
            pipe.hgetall(keys.session_hash(session))
            pipe.ttl(keys.session_hash(session))
            return await pipe.execute()

        found, ttl_s = await self._connection.call(read)
        fields = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in found.items()}
        if not fields or (ttl_s < 0 and _until_s(fields) <= await self._time.now_s()):
            return None
        return fields

    async def take_over(self, session: SessionRef, seen: Mapping[str, str], *, owner: str) -> bool:
        """Take over a session that was `seen` (by `find`) with another owner; False when another gateway was faster.

        Raises:
            NewerFormat: this version can't read the session; it stays as it is, with its owner.
            BrokerLost: the store is away.
        """
        formats = [session_format.NEWEST_READ, session_format.WRITTEN]
        arguments = [seen.get(OWNER, ""), owner, await self._expires_s(), *formats]
        took, found = await self._connection.call(
            lambda: self._take_over(self._connection.commands, [keys.session_hash(session)], arguments)
        )
        if took < 0:
            raise NewerFormat("session", found, session_format.NEWEST_READ)
        if took:
            own = {name: value for name, value in seen.items() if name not in _STORED_ALONE}
            self._own[session] = {**own, FORMAT: str(found)}
            self._tokens[session] = owner
            await self._write([session], "changed")
        return bool(took)

    def stop_renewing(self, session: SessionRef, owner: str) -> None:
        """Stop renewing a session: another gateway owns it, or may own it before it expires."""
        if self._tokens.get(session) == owner:
            self._own.pop(session, None)
            self._tokens.pop(session, None)

    async def change(self, session: SessionRef, fields: Mapping[str, str]) -> None:
        """Change fields of a session of this process; the other fields stay. Raises BrokerLost as `open` does."""
        self._own[session] = self._own.get(session, {}) | dict(fields)
        await self._write([session], "changed")

    async def heartbeat(self) -> None:
        """Renew all sessions of this process, in one round trip. Call every `keys.SESSION_HEARTBEAT_S`. Raises BrokerLost."""
        renewed = list(self._own)
        self._closed.clear()
        if renewed:
            await self._write(renewed, None)
        for session in self._closed.intersection(renewed):  # the renewal may have come after the end
            await self._remove(session)

    async def run(self, stop: asyncio.Event) -> None:
        """Send heartbeats until `stop`; while the store is away, retry with the next."""
        while not stop.is_set():
            # sessions of this process live on in memory; the outage is logged elsewhere
            with contextlib.suppress(BrokerLost):
                await self.heartbeat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(keys.SESSION_HEARTBEAT_S):
                    await stop.wait()

    async def close(self, session: SessionRef) -> bool:
        """Remove a session; True for the one caller that removed it. Raises BrokerLost; then the janitor removes it."""
        self._own.pop(session, None)
        self._tokens.pop(session, None)
        self._closed.add(session)
        was_there = await self._remove(session)
        if was_there:
            notice = _encoder.encode(SessionNotice("closed", session))
            await self._connection.call(lambda: self._connection.commands.publish(keys.SESSION_NOTICES, notice))
        return was_there

    async def _remove(self, session: SessionRef) -> bool:
        async def strike() -> bool:
            pipe = self._connection.commands.pipeline(transaction=False)
            pipe.execute_command("UNLINK", keys.session_hash(session))
            pipe.zrem(keys.LIVE_SESSIONS, _member(session))
            _, removed = await pipe.execute()
            return bool(removed)

        return await self._connection.call(strike)

    async def get(self, session: SessionRef) -> dict[str, str] | None:
        """The fields of a live session of any gateway; None when there is none.

        Raises:
            BrokerLost: the store is away and the session does not belong to this process.
        """
        try:
            found = await self.find(session)
        except BrokerLost:
            if session not in self._own:
                raise
            found = self._own[session]
        return found and {name: value for name, value in found.items() if name not in FOR_GATEWAYS}

    async def live(self, tenant_id: str | None = None) -> list[SessionRef]:
        """All live sessions, or those of one tenant. Raises BrokerLost."""
        sessions = await self._by_expiry(f"({await self._time.now_s()}", "+inf")
        return [session for session in sessions if tenant_id is None or session.tenant_id == tenant_id]

    async def count(self) -> int:
        """How many sessions are live, over all gateways. Raises BrokerLost."""
        now_s = await self._time.now_s()
        return int(
            await self._connection.call(
                lambda: self._connection.commands.zcount(keys.LIVE_SESSIONS, f"({now_s}", "+inf")
            )
        )

    async def expired(self) -> list[SessionRef]:
        """Sessions that expired at least one heartbeat ago. Raises BrokerLost.

        The margin covers an outage of the store, after which live sessions are renewed within one heartbeat.
        """
        return await self._by_expiry("-inf", str(await self._time.now_s() - keys.SESSION_HEARTBEAT_S))

    async def notices(self) -> AsyncIterator[SessionNotice]:
        """Changes of any session, as they happen."""
        listener = _Notices()
        await self._subscriber.subscribe([keys.SESSION_NOTICES], listener)
        try:
            while True:
                yield await listener.waiting.get()
        finally:
            await self._subscriber.unsubscribe([keys.SESSION_NOTICES], listener)

    async def _write(self, sessions: list[SessionRef], notice: str | None) -> None:
        expires_s = await self._expires_s()
        tokens = {session: self._tokens.setdefault(session, new_owner()) for session in sessions}

        async def write() -> list[Any]:
            pipe = self._connection.commands.pipeline(transaction=False)
            for session in sessions:
                pipe.zadd(keys.LIVE_SESSIONS, {_member(session): expires_s})
            for session in sessions:
                own = self._own.get(session, {})
                pairs = [part for pair in {"tenant_id": session.tenant_id, **own}.items() for part in pair]
                visible = {name: value for name, value in own.items() if name not in FOR_GATEWAYS}
                words = b"" if notice is None else _encoder.encode(SessionNotice(notice, session, visible))
                arguments: list[Any] = [tokens[session], expires_s, keys.SESSION_NOTICES, words, *pairs]
                pipe.eval(self._write_session.text, 1, keys.session_hash(session), *arguments)
            answers: list[Any] = await pipe.execute()
            return answers[len(sessions) :]

        answers = await self._connection.call(write)
        for session, is_ours in zip(sessions, answers, strict=True):
            if not is_ours:
                self.stop_renewing(session, tokens[session])
                self.on_lost(session, tokens[session])

    async def _expires_s(self) -> float:
        return await self._time.now_s() + keys.SESSION_TTL_S

    async def _by_expiry(self, low: str, high: str) -> list[SessionRef]:
        members: list[Any] = await self._connection.call(
            lambda: self._connection.commands.zrangebyscore(keys.LIVE_SESSIONS, low, high)
        )
        sessions = {member: _session_of(member) for member in members}
        if damaged := [member for member, session in sessions.items() if session is None]:
            log.error("entries of the directory can't be read, and are removed", entries=len(damaged))
            await self._connection.call(lambda: self._connection.commands.zrem(keys.LIVE_SESSIONS, *damaged))
        return [session for session in sessions.values() if session is not None]


def format_of(fields: Mapping[str, str]) -> int:
    """The format of a session, from its fields as `find` gives them; 0 when they name none, or no number."""
    named = fields.get(FORMAT, "")
    return int(named) if named.isascii() and named.isdigit() else 0


def _until_s(fields: Mapping[str, str]) -> float:
    """The store's time until which a session lives; one whose field is damaged is over."""
    try:
        return float(fields.get(UNTIL, math.inf))
    except ValueError:
        return -math.inf


def new_owner() -> str:
    """A token for one owner of one session."""
    return secrets.token_hex(8)


def _ignore_lost(session: SessionRef, owner: str) -> None:
    pass


def _session_of(member: bytes) -> SessionRef | None:
    """The session of an entry as `_member` writes it; None for anything else."""
    try:
        tenant_id, session_id = member.decode().split("/", 1)
        session = SessionRef(tenant_id, session_id)
        keys.tag(session)
    except ValueError:
        return None
    return session


def _member(session: SessionRef) -> str:
    keys.tag(session)  # refuses ids that hold a slash
    return f"{session.tenant_id}/{session.session_id}"
