"""The ledger of side effects: which calls have begun, and their outputs. It makes "once" hold across workers and crashes.

A call is identified by session, call id, name and arguments. When the same call is made again (a job that a second worker takes
over), it is the same entry. A call with the same name and arguments in the same response, or while that of another response is
running, shares the existing entry. `once` makes sure that a begun call is not run twice.
"""

import hashlib
from typing import Any, Protocol

import msgspec

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection, Script, new_nonce
from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.ports.broker import SessionRef

NO_RESPONSE = "-"  # response id of a call that belongs to no response


class CallKey(msgspec.Struct, frozen=True):
    """A call of a tool.

    Attributes:
        response_id: the response that made the call; "" if none.
        arguments: JSON text as the model wrote it.
    """

    session: SessionRef
    call_id: str
    name: str
    arguments: str
    response_id: str = ""

    @property
    def same(self) -> str:
        """Digest of the effect: name and arguments."""
        return _digest(self.name.encode(errors="backslashreplace"), _canonical(self.arguments))

    @property
    def call(self) -> str:
        """Digest of this call: call id, name and arguments."""
        return _digest(self.call_id.encode(errors="backslashreplace"), self.same.encode())


class LedgerEntry(msgspec.Struct, frozen=True):
    """The ledger's entry for a call.

    Attributes:
        call: digest of the call that has the effect: this one, or an equal one.
        is_new: the effect had not begun: begin now.
        until_s: wall time after which the worker that began it has ended or died.
        output: the output; None while it is not known.
    """

    call: str
    is_new: bool = False
    until_s: float = 0.0
    output: str | None = None


class Ledger(Protocol):
    """The ledger. Every method raises BrokerLost when the store can't be reached."""

    async def begin(self, key: CallKey, until_s: float) -> LedgerEntry:
        """Register a side effect that will end before the wall time `until_s`, or return the existing entry."""

    async def output(self, session: SessionRef, call: str) -> str | None:
        """The output of a call, or None if there is none yet."""

    async def finish(self, session: SessionRef, call: str, output: str) -> None:
        """Store the output of a call. The first output is kept."""


class RedisLedger:
    """See Ledger. Args: connection: to the store, shared with the broker."""

    def __init__(self, connection: Connection, *, clock: Clock | None = None) -> None:
        self._connection = connection
        self._clock = clock or SystemClock()
        self._begin = Script("begin_effect")
        self._finish = Script("finish_effect")

    async def begin(self, key: CallKey, until_s: float) -> LedgerEntry:
        """See Ledger."""
        response = key.response_id or NO_RESPONSE
        arguments: list[Any] = [
            key.call,
            key.same,
            _digest(response.encode(errors="backslashreplace")),
            new_nonce().hex(),
            self._clock.wall_s(),
            until_s,
            keys.EFFECTS_AFTER_END_S,
        ]
        where = [keys.effects(key.session), keys.session_hash(key.session)]
        call, ends, output = await self._connection.call(
            lambda: self._begin(self._connection.commands, where, arguments)
        )
        if ends == b"0":
            return LedgerEntry(key.call, is_new=True, until_s=until_s)
        return LedgerEntry(call.decode(), until_s=float(ends), output=None if output is None else output.decode())

    async def output(self, session: SessionRef, call: str) -> str | None:
        """See Ledger."""
        read: Any = await self._connection.call(
            lambda: self._connection.commands.hget(keys.effects(session), f"o:{call}")
        )
        return None if read is None else str(read.decode())

    async def finish(self, session: SessionRef, call: str, output: str) -> None:
        """See Ledger."""
        where = [keys.effects(session), keys.session_hash(session)]
        arguments = [f"o:{call}", output, keys.EFFECTS_AFTER_END_S]
        await self._connection.call(lambda: self._finish(self._connection.commands, where, arguments))


def _canonical(arguments: str) -> bytes:
    """Canonical bytes of arguments: equal for equal values, whatever the spacing and the order of keys."""
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
