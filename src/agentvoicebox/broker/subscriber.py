"""Everything this process listens to: one pub/sub connection to each node that announces something it wants.

Carries messages to whoever subscribed, and says when a connection was lost and stands again, because what was
announced in between is gone and must be read elsewhere. Keeps no message; decides nothing about them.

A session's channels are sharded ones (their names hold its hash tag): the node that holds its records announces them, so
records and news of them are lost together or not at all. Channels of no session are plain ones.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import Protocol

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from agentvoicebox.broker.connection import FIRST_PAUSE_S, LONGEST_PAUSE_S, NO_TIMEOUT, STORE_ERRORS, Connection
from agentvoicebox.errors import BrokerLost

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Whoever wants the messages of some channels. Both calls must return at once."""

    def heard(self, payload: bytes) -> None:
        """A message came."""

    def missed(self) -> None:
        """The connection broke and stands again: messages may have been lost."""


class Subscriber:
    """All channels of a process; reconnects by itself until closed."""

    def __init__(self, connection: Connection, *, patience_s: float) -> None:
        self._connection = connection
        self._patience_s = patience_s
        self._lines: dict[str, _Line] = {}
        self._line_of: dict[bytes, _Line] = {}
        self.listeners: dict[bytes, list[Listener]] = {}
        self._standing: set[bytes] = set()
        self._changed = asyncio.Condition()

    async def subscribe(self, channels: list[str], listener: Listener) -> None:
        """Listen to `channels`; returns once the server confirmed them all.

        Raises:
            BrokerLost: the server stayed away for `patience_s`.
        """
        names = [channel.encode() for channel in channels]
        fresh = [name for name in names if name not in self.listeners]
        for name in names:
            self.listeners.setdefault(name, []).append(listener)
        try:
            async with asyncio.timeout(self._patience_s):
                await self._connection.wait(lambda: self.place(fresh))
                async with self._changed:
                    await self._changed.wait_for(lambda: self._standing.issuperset(names))
        except (TimeoutError, BrokerLost) as error:
            await self.unsubscribe(channels, listener)
            raise BrokerLost("the store did not confirm a subscription") from error

    async def unsubscribe(self, channels: list[str], listener: Listener) -> None:
        """Stop listening. Idempotent."""
        gone: dict[_Line, list[bytes]] = defaultdict(list)
        for name in (channel.encode() for channel in channels):
            listeners = self.listeners.get(name, [])
            if listener in listeners:
                listeners.remove(listener)
                if not listeners:
                    del self.listeners[name]
                    self._standing.discard(name)
                    line = self._line_of.pop(name, None)
                    if line is not None:
                        gone[line].append(name)
        for line, names in gone.items():
            await line.drop(names)

    async def close(self) -> None:
        """Drop all connections. Idempotent."""
        lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            line.close()
        await asyncio.gather(*(line.task for line in lines), return_exceptions=True)

    async def place(self, names: Collection[bytes], *, lost: Collection[bytes] = ()) -> None:
        """Put channels on the lines to the nodes that announce them; of those in `lost` messages may have been missed."""
        groups: dict[str, list[bytes]] = defaultdict(list)
        for name in names:
            groups[await self._connection.store.place_of(name)].append(name)
        for place, group in groups.items():
            wanted = [name for name in group if name in self.listeners]
            if not wanted:
                continue
            if place not in self._lines:
                self._lines[place] = _Line(place, self, self._connection)
            line = self._lines[place]
            self._line_of.update(dict.fromkeys(wanted, line))
            await line.add(wanted, lost)

    def give_up(self, place: str) -> None:
        """A line has nothing to listen to any more."""
        self._lines.pop(place, None)

    def fallen(self, names: Iterable[bytes]) -> None:
        """These channels are heard no more, for now."""
        self._standing.difference_update(names)

    async def stands(self, name: bytes) -> None:
        """This channel is heard from now on."""
        async with self._changed:
            self._standing.add(name)
            self._changed.notify_all()


class _Line:
    """One connection to one node, with the channels that it announces."""

    def __init__(self, place: str, subscriber: Subscriber, connection: Connection) -> None:
        self._place = place
        self._subscriber = subscriber
        self._connection = connection
        self._names: set[bytes] = set()
        self._lost: set[bytes] = set()  # of these messages may have been missed
        self._back: set[bytes] = set()  # of these, too, but they stand again: their listeners are told once all do
        self._leaving: Counter[bytes] = Counter()  # what we asked to hear no more, until it is confirmed
        self._wire: AbstractConnection | None = None
        self._is_closed = False
        self.task = asyncio.create_task(self._run(), name="broker-subscriber")

    def close(self) -> None:
        """Stop listening; `task` ends."""
        self._is_closed = True  # redis-py loses a cancellation that meets an arriving message; the loops look here, too
        self.task.cancel()

    async def add(self, names: Collection[bytes], lost: Collection[bytes]) -> None:
        """Listen to these, too."""
        self._names.update(names)
        self._lost.update(name for name in names if name in lost)
        await self._send("SUBSCRIBE", names)

    async def drop(self, names: Collection[bytes]) -> None:
        """Listen to these no more."""
        self._names.difference_update(names)
        self._lost.difference_update(names)
        if self._wire is not None:
            self._leaving.update(names)
        await self._send("UNSUBSCRIBE", names)
        self._tell()

    async def _send(self, command: str, names: Collection[bytes]) -> None:
        """Best effort: a line that is reconnecting subscribes to all its names anyway."""
        wire = self._wire
        if wire is not None:
            try:
                await _send(wire, command, names)
            except STORE_ERRORS:
                await wire.disconnect(nowait=True)

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._is_closed:
            try:
                wire = self._connection.store.raw(self._place)
                try:
                    await wire.connect()
                    await self._begin(wire)
                    pause_s = FIRST_PAUSE_S
                    await self._listen(wire)
                finally:
                    self._wire = None
                    self._leaving.clear()
                    await wire.disconnect(nowait=True)
            except STORE_ERRORS as error:
                _log.warning("subscription lost", error=type(error).__name__)
            self._subscriber.fallen(self._names)
            self._lost.update(self._names)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            await self._leave_to_others()
            if not self._names:
                self._subscriber.give_up(self._place)
                return

    async def _begin(self, wire: AbstractConnection) -> None:
        sent = set(self._names)
        await _send(wire, "SUBSCRIBE", sent)
        self._wire = wire  # from here on, whoever joins sends for himself
        await _send(wire, "SUBSCRIBE", self._names - sent)

    async def _leave_to_others(self) -> None:
        """Names that another node announces by now go to the line there."""
        await self._connection.refresh()
        try:
            moved = [name for name in self._names if await self._connection.store.place_of(name) != self._place]
            self._names.difference_update(moved)
            self._lost.difference_update(moved)
            await self._subscriber.place(moved, lost=moved)
        except STORE_ERRORS:
            pass  # nobody knows just now: they stay here until somebody does

    async def _listen(self, wire: AbstractConnection) -> None:
        while not self._is_closed:
            kind, name, payload = await wire.read_response(timeout=NO_TIMEOUT)
            if kind in (b"message", b"smessage"):
                for listener in list(self._subscriber.listeners.get(name, ())):
                    try:
                        listener.heard(payload)
                    except Exception as error:  # one listener's bad message must not deafen the others
                        _log.error("a message can't be read", error=type(error).__name__)
            elif kind in (b"subscribe", b"ssubscribe"):
                if name in self._names:
                    await self._subscriber.stands(name)
                    self._stands_again(name)
            elif kind == b"sunsubscribe":
                if self._leaving[name]:
                    self._leaving[name] -= 1
                elif name in self._names:
                    raise RedisConnectionError("a slot has moved to another node")

    def _stands_again(self, name: bytes) -> None:
        if name in self._lost:
            self._lost.remove(name)
            self._back.add(name)
            self._tell()

    def _tell(self) -> None:
        if not self._lost and self._back:
            back, self._back = self._back, set()
            listeners = [one for each in back for one in self._subscriber.listeners.get(each, ())]
            for listener in {id(one): one for one in listeners}.values():
                listener.missed()


async def _send(wire: AbstractConnection, command: str, names: Collection[bytes]) -> None:
    """SUBSCRIBE or UNSUBSCRIBE: plain channels at once, sharded ones slot by slot."""
    groups: dict[bytes, list[bytes]] = defaultdict(list)
    for name in names:
        _, brace, rest = name.partition(b"{")
        groups[rest.partition(b"}")[0] if brace else b""].append(name)
    for tag, group in groups.items():
        await wire.send_command(f"S{command}" if tag else command, *group)
