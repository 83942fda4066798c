"""A session's past: the engine's last snapshot, and every input since. Whoever has both can go on with the call.

Inputs are written through the broker (`AppendLog`), in the round trip that carries their effects; this file reads them
back, and trims what a snapshot covers. One writer a session; what the bytes mean is the engine's affair.
"""

from typing import Any

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, entries_of
from agentvoicebox.ports.broker import SessionRef

READ_COUNT = 500  # inputs a round trip; some 100 bytes each

_NOWHERE = b"0-0"


class SessionLog:
    """Snapshots and logs of all sessions of one store.

    Args:
        connection: the line to the store, shared with the broker (`RedisBroker.connection`).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def save_snapshot(self, session: SessionRef, state: bytes, through_entry: int) -> None:
        """Keep `state` and drop the inputs that it covers.

        Args:
            session: whose.
            state: `Engine.snapshot()`.
            through_entry: how many inputs the engine had received since the session's start, the first (`Opened`)
                counted. All of them must have been dispatched; inputs that the store lost meanwhile are healed by
                the snapshot.

        Raises:
            BrokerLost: the store is away; the former snapshot and its log still stand.
        """
        covered, after, _ = await self._read_snapshot(session)
        for entry_id, _ in await self._read_after(session, after, through_entry - covered):
            after = entry_id

        async def save() -> None:
            key = keys.snapshot(session)
            # First the snapshot, then the trim: what lies in both is skipped by its entry id.
            pipe = self._connection.commands.pipeline(transaction=True)
            pipe.hset(key, mapping={"state": state, "through": str(through_entry), "after": after})
            pipe.expire(key, keys.SESSION_DATA_TTL_S)
            pipe.xtrim(keys.log(session), minid=_following(after), approximate=False)
            await pipe.execute()

        await self._connection.call(save)

    async def load(self, session: SessionRef) -> tuple[bytes | None, list[bytes]]:
        """The last snapshot (None when there is none yet) and the inputs since, in order, each once.

        Raises:
            BrokerLost: the store is away.
        """
        _, after, state = await self._read_snapshot(session)
        return state, [entry for _, entry in await self._read_after(session, after, None)]

    async def _read_snapshot(self, session: SessionRef) -> tuple[int, bytes, bytes | None]:
        fields: list[Any] = await self._connection.call(
            lambda: self._connection.commands.hmget(keys.snapshot(session), ["through", "after", "state"])
        )
        through, after, state = fields
        return int(through or 0), after or _NOWHERE, state

    async def _read_after(self, session: SessionRef, after: bytes, count: int | None) -> list[tuple[bytes, bytes]]:
        """Entry id and bytes of at most `count` inputs after an entry. A repeated one carries the nonce of its twin."""
        found: list[tuple[bytes, bytes]] = []
        seen: set[bytes] = set()
        while True:
            start = b"(" + after
            answer: Any = await self._connection.call(
                lambda start=start: self._connection.commands.xrange(  # type: ignore[misc]
                    keys.log(session), min=start, max="+", count=READ_COUNT
                )
            )
            entries = entries_of(answer)
            for entry_id, fields in entries:
                after = entry_id
                if fields[b"n"] in seen:
                    if found and len(found) == count:
                        found[-1] = (entry_id, found[-1][1])
                    continue
                if count is not None and len(found) >= count:
                    return found
                seen.add(fields[b"n"])
                found.append((entry_id, fields[b"e"]))
            if len(entries) < READ_COUNT:
                return found


def _following(entry_id: bytes) -> str:
    ms, _, count = entry_id.decode().partition("-")
    return f"{ms}-{int(count) + 1}"
