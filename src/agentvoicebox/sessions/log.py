"""A session's log: the engine's last snapshot, and every input since. Any gateway can restore the session from both.

Inputs are written through the broker (`AppendLog`), in the round trip that carries their effects; this file reads them back, and
trims what a snapshot covers. Each session has one writer, by the owner's token. Only the gateway knows what the bytes mean.
"""

from dataclasses import dataclass
from typing import Any

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, Script
from agentvoicebox.broker.stream_range import StreamRange
from agentvoicebox.engine import session_format
from agentvoicebox.errors import DamagedRecord
from agentvoicebox.ports.broker import SessionRef
from agentvoicebox.sessions.directory import FORMAT

READ_COUNT = 500  # inputs per round trip; some 100 bytes each

_NOWHERE = b"0-0"
_NONCE_BYTES = 8  # the part of an entry's nonce that all entries of one dispatch share


@dataclass(frozen=True)
class SavedSession:
    """What a session can be restored from.

    Attributes:
        state: the engine at its last snapshot; None when there is none yet.
        ledger: the gateway's ledger, saved with the snapshot.
        through: how many inputs the snapshot covers.
        entries: the inputs since.
        last_batch: how many of them came with the last dispatch, of which other parts may be missing in the store.
    """

    state: bytes | None
    ledger: bytes
    through: int
    entries: list[bytes]
    last_batch: int


class SessionLog:
    """Snapshots and logs of all sessions of one store.

    Args:
        connection: the connection to the store, shared with the broker (`RedisBroker.connection`).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._snapshot = Script("save_snapshot")
        self._range = StreamRange(connection)

    async def save_snapshot(
        self, session: SessionRef, state: bytes, through_entry: int, *, ledger: bytes = b"", owner: str = ""
    ) -> None:
        """Save `state` and drop the inputs that it covers.

        Args:
            session: the session.
            state: `Engine.snapshot()`.
            through_entry: how many inputs the engine had received since the session's start, the first (`Opened`)
                counted. All of them must have been dispatched; the snapshot also covers inputs that the store lost
                in the meantime.
            ledger: saved beside the state.
            owner: the writer's token; with it nothing is written when the session has another owner.

        Raises:
            BrokerLost: the store is away; the former snapshot and its log are unchanged.
        """
        covered, after, _ = await self._read_snapshot(session)
        for entry_id, _, _ in await self._read_after(session, after, through_entry - covered):
            after = entry_id
        fields = ["state", state, "ledger", ledger, "through", str(through_entry), "after", after]
        arguments = [owner, keys.SESSION_DATA_TTL_S, _following(after), *fields]
        involved = [keys.session_hash(session), keys.snapshot(session), keys.log(session)]
        await self._connection.call(lambda: self._snapshot(self._connection.commands, involved, arguments))

    async def load(self, session: SessionRef) -> tuple[bytes | None, list[bytes]]:
        """The last snapshot (None when there is none yet) and the inputs since, in order, each once.

        Raises:
            NewerFormat: this version can't read it.
            BrokerLost: the store is away.
        """
        logged = await self.read(session)
        return logged.state, logged.entries

    async def read(self, session: SessionRef) -> SavedSession:
        """Everything that the store has of a session.

        Raises:
            NewerFormat: this version can't read it.
            DamagedRecord: no version can.
            BrokerLost: the store is away.
        """
        try:
            return await self._read(session)
        except (ValueError, KeyError) as error:  # a number that is none, an entry without its fields
            raise DamagedRecord("a session's log in the store can't be read") from error

    async def _read(self, session: SessionRef) -> SavedSession:
        found_format: Any = await self._connection.call(
            lambda: self._connection.commands.hget(keys.session_hash(session), FORMAT)
        )
        session_format.require_readable(int(found_format or 0))
        through, after, state = await self._read_snapshot(session)
        ledger: Any = await self._connection.call(
            lambda: self._connection.commands.hget(keys.snapshot(session), "ledger")
        )
        found = await self._read_after(session, after, None)
        last = found[-1][2][:_NONCE_BYTES] if found else b""
        last_batch = sum(1 for _, _, nonce in found if nonce[:_NONCE_BYTES] == last)
        return SavedSession(state, ledger or b"", through, [entry for _, entry, _ in found], last_batch)

    async def _read_snapshot(self, session: SessionRef) -> tuple[int, bytes, bytes | None]:
        fields: list[Any] = await self._connection.call(
            lambda: self._connection.commands.hmget(keys.snapshot(session), ["through", "after", "state"])
        )
        through, after, state = fields
        return int(through or 0), after or _NOWHERE, state

    async def _read_after(
        self, session: SessionRef, after: bytes, count: int | None
    ) -> list[tuple[bytes, bytes, bytes]]:
        """Entry id, bytes and nonce of at most `count` inputs after an entry. A duplicate carries the nonce of its original."""
        found: list[tuple[bytes, bytes, bytes]] = []
        seen: set[bytes] = set()
        while True:
            entries = await self._range.after(keys.log(session), after, count=READ_COUNT)
            for entry_id, fields in entries:
                after = entry_id
                if fields[b"n"] in seen:
                    if found and len(found) == count:
                        found[-1] = (entry_id, *found[-1][1:])
                    continue
                if count is not None and len(found) >= count:
                    return found
                seen.add(fields[b"n"])
                found.append((entry_id, fields[b"e"], fields[b"n"]))
            if not entries:
                return found


def _following(entry_id: bytes) -> str:
    ms, _, count = entry_id.decode().partition("-")
    return f"{ms}-{int(count) + 1}"
