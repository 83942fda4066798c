"""One pub/sub connection for everything this process listens to.

Carries messages to whoever subscribed, and says when the connection was lost and stands again, because what was
announced in between is gone and must be read elsewhere. Keeps no message; decides nothing about them.
"""

import asyncio
from typing import Protocol

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from agentvoicebox.broker.connection import FIRST_PAUSE_S, LONGEST_PAUSE_S, Connection
from agentvoicebox.broker.wire import NO_TIMEOUT
from agentvoicebox.errors import BrokerLost

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Whoever wants the messages of some channels. Both calls must return at once."""

    def heard(self, payload: bytes) -> None:
        """A message came."""

    def missed(self) -> None:
        """The connection broke and stands again: messages may have been lost."""


class Subscriber:
    """Multiplexes all channels of a process over one connection; reconnects by itself until closed."""

    def __init__(self, connection: Connection, *, patience_s: float) -> None:
        self._connection = connection
        self._patience_s = patience_s
        self._wire: AbstractConnection | None = None
        self._listeners: dict[bytes, list[Listener]] = {}
        self._standing: set[bytes] = set()
        self._changed = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None

    async def subscribe(self, channels: list[str], listener: Listener) -> None:
        """Listen to `channels`; returns once the server confirmed them all.

        Raises:
            BrokerLost: the server stayed away for `patience_s`.
        """
        names = [channel.encode() for channel in channels]
        fresh = [name for name in names if name not in self._listeners]
        for name in names:
            self._listeners.setdefault(name, []).append(listener)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read(), name="broker-subscriber")
        elif fresh:
            await self._send("SUBSCRIBE", fresh)
        try:
            async with asyncio.timeout(self._patience_s), self._changed:
                await self._changed.wait_for(lambda: self._standing.issuperset(names))
        except TimeoutError as error:
            await self.unsubscribe(channels, listener)
            raise BrokerLost("the store did not confirm a subscription") from error

    async def unsubscribe(self, channels: list[str], listener: Listener) -> None:
        """Stop listening. Idempotent."""
        gone = []
        for name in (channel.encode() for channel in channels):
            listeners = self._listeners.get(name, [])
            if listener in listeners:
                listeners.remove(listener)
                if not listeners:
                    del self._listeners[name]
                    self._standing.discard(name)
                    gone.append(name)
        if gone:
            await self._send("UNSUBSCRIBE", gone)

    async def close(self) -> None:
        """Drop the connection. Idempotent."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            self._reader = None

    async def _send(self, command: str, names: list[bytes]) -> None:
        """Best effort: a reader that is reconnecting subscribes to everything in `_listeners` anyway."""
        if self._wire is not None:
            try:
                await self._wire.send_command(command, *names)
            except (RedisError, OSError):
                await self._wire.disconnect(nowait=True)

    async def _read(self) -> None:
        pause_s = FIRST_PAUSE_S
        lost = False
        while True:
            wire = self._connection.raw()
            try:
                await wire.connect()  # type: ignore[no-untyped-call]
                await self._subscribe_all(wire)
                pause_s = FIRST_PAUSE_S
                await self._listen(wire, tell_when_standing=lost)
            except (RedisError, OSError) as error:
                _log.warning("subscription lost", error=type(error).__name__)
            finally:
                self._wire = None
                await wire.disconnect(nowait=True)
            lost = True
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _subscribe_all(self, wire: AbstractConnection) -> None:
        self._standing.clear()
        sent = set(self._listeners)
        if sent:
            await wire.send_command("SUBSCRIBE", *sent)
        self._wire = wire  # from here on, whoever joins sends for himself
        late = self._listeners.keys() - sent
        if late:
            await wire.send_command("SUBSCRIBE", *late)

    async def _listen(self, wire: AbstractConnection, *, tell_when_standing: bool) -> None:
        awaited = set(self._listeners) if tell_when_standing else set()
        while True:
            kind, name, payload = await wire.read_response(timeout=NO_TIMEOUT)
            if kind == b"message":
                for listener in list(self._listeners.get(name, ())):
                    try:
                        listener.heard(payload)
                    except Exception as error:  # one listener's bad message must not deafen the others
                        _log.error("a message can't be read", error=type(error).__name__)
            elif kind == b"subscribe":
                async with self._changed:
                    self._standing.add(name)
                    self._changed.notify_all()
                if awaited and self._standing.issuperset(awaited & self._listeners.keys()):
                    awaited = set()
                    for listener in {id(one): one for many in self._listeners.values() for one in many}.values():
                        listener.missed()
