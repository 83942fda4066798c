"""Who has begun which side effect, and what it returned: the book that makes "once" true across workers and crashes.

A call is known by session, call id, name and arguments. The same call made again (a job handed to a second worker) is the same
entry; the same name and arguments within one response, or while another response's is under way, point to the entry that is
there. Two books: Valkey/Redis, and memory. That a begun call is not run twice is `once`'s.
"""

import hashlib
from typing import Any, Protocol

import msgspec

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, Script, new_nonce
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.ports.broker import SessionRef

NOBODY = "-"  # the response of a call that belongs to none


class CallKey(msgspec.Struct, frozen=True):
    """A call of a tool.

    Attributes:
        response_id: which response made it; "" for none.
        arguments: JSON text as the model wrote it.
    """

    session: SessionRef
    call_id: str
    name: str
    arguments: str
    response_id: str = ""

    @property
    def same(self) -> str:
        """Digest of what it does: name and arguments."""
        return _digest(self.name.encode(errors="backslashreplace"), _canonical(self.arguments))

    @property
    def call(self) -> str:
        """Digest of the very call."""
        return _digest(self.call_id.encode(errors="backslashreplace"), self.same.encode())


class LedgerEntry(msgspec.Struct, frozen=True):
    """What the book says.

    Attributes:
        call: digest of the call that acts, this one or one that does the same.
        is_mine: nobody had begun it: begin now.
        until_s: wall time after which whoever began it has ended or died.
        output: what it returned, once it has.
    """

    call: str
    is_mine: bool = False
    until_s: float = 0.0
    output: str | None = None


class Ledger(Protocol):
    """The book. Every method raises BrokerLost when it can't be reached."""

    async def begin(self, key: CallKey, until_s: float) -> LedgerEntry:
        """Ask to begin a side effect that will have ended by the wall time `until_s`."""

    async def output(self, session: SessionRef, call: str) -> str | None:
        """What a call returned, or None when it hasn't."""

    async def finish(self, session: SessionRef, call: str, output: str) -> None:
        """Write down what it returned. The first to do so wins."""


class RedisLedger:
    """See Ledger. Args: connection: the line to the store, shared with the broker."""

    def __init__(self, connection: Connection, *, clock: Clock | None = None) -> None:
        self._connection = connection
        self._clock = clock or SystemClock()
        self._begin = Script("begin_effect")

    async def begin(self, key: CallKey, until_s: float) -> LedgerEntry:
        """See Ledger."""
        response = key.response_id or NOBODY
        arguments: list[Any] = [
            key.call,
            key.same,
            _digest(response.encode(errors="backslashreplace")),
            new_nonce().hex(),
            self._clock.wall_s(),
            until_s,
            keys.SESSION_DATA_TTL_S,
        ]
        where = [keys.effects(key.session)]
        call, ends, output = await self._connection.call(
            lambda: self._begin(self._connection.commands, where, arguments)
        )
        if ends == b"0":
            return LedgerEntry(key.call, is_mine=True, until_s=until_s)
        return LedgerEntry(call.decode(), until_s=float(ends), output=None if output is None else output.decode())

    async def output(self, session: SessionRef, call: str) -> str | None:
        """See Ledger."""
        read: Any = await self._connection.call(
            lambda: self._connection.commands.hget(keys.effects(session), f"o:{call}")
        )
        return None if read is None else str(read.decode())

    async def finish(self, session: SessionRef, call: str, output: str) -> None:
        """See Ledger."""

        async def write() -> None:
            where = keys.effects(session)
            pipe = self._connection.commands.pipeline(transaction=True)
            pipe.hsetnx(where, f"o:{call}", output)
            pipe.expire(where, keys.SESSION_DATA_TTL_S)
            await pipe.execute()

        await self._connection.call(write)


def _canonical(arguments: str) -> bytes:
    """Arguments as bytes that are equal when they mean the same, whatever their spacing and order of keys."""
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments.encode()), order="sorted")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return arguments.strip().encode(errors="backslashreplace")


def _digest(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
