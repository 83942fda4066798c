"""All pub/sub subscriptions of this process: one connection to each node that announces a subscribed channel.

Delivers messages to listeners, and notifies them when a connection was lost and restored, because messages in
between are lost and must be read elsewhere. Stores no message and does not interpret them.

A session's channels are sharded ones (their names hold its hash tag): the node that holds its results announces them, so
results and announcements are lost together or not at all. Channels that belong to no session are plain ones.
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
from agentvoicebox.telemetry.logs import unbound

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Receives the messages of some channels. Both methods must return at once."""

    def on_message(self, payload: bytes) -> None:
        """A message arrived."""

    def on_gap(self) -> None:
        """The connection broke and is restored: messages may have been lost."""


class Subscriber:
    """All channels of a process; reconnects by itself until closed."""

    def __init__(self, connection: Connection, *, retry_for_s: float) -> None:
        self._connection = connection
        self._retry_for_s = retry_for_s
        self._lines: dict[str, _NodeSubscription] = {}
        self._line_of: dict[bytes, _NodeSubscription] = {}
        self.listeners: dict[bytes, list[Listener]] = {}
        self._confirmed: set[bytes] = set()
        self._changed = asyncio.Condition()

    async def subscribe(self, channels: list[str], listener: Listener) -> None:
        """Subscribe to `channels`; returns once the server confirmed them all.

        Raises:
            BrokerLost: the server was away for `retry_for_s`.
        """
        names = [channel.encode() for channel in channels]
        fresh = [name for name in names if name not in self.listeners]
        for name in names:
            self.listeners.setdefault(name, []).append(listener)
        try:
            async with asyncio.timeout(self._retry_for_s):
                await self._connection.wait(lambda: self.assign(fresh))
                async with self._changed:
                    await self._changed.wait_for(lambda: self._confirmed.issuperset(names))
        except (TimeoutError, BrokerLost) as error:
            await self.unsubscribe(channels, listener)
            raise BrokerLost("the store did not confirm a subscription") from error

    async def unsubscribe(self, channels: list[str], listener: Listener) -> None:
        """Unsubscribe. Idempotent."""
        gone: dict[_NodeSubscription, list[bytes]] = defaultdict(list)
        for name in (channel.encode() for channel in channels):
            listeners = self.listeners.get(name, [])
            if listener in listeners:
                listeners.remove(listener)
                if not listeners:
                    del self.listeners[name]
                    self._confirmed.discard(name)
                    line = self._line_of.pop(name, None)
                    if line is not None:
                        gone[line].append(name)
        for line, names in gone.items():
            await line.drop(names)

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            line.close()
        await asyncio.gather(*(line.task for line in lines), return_exceptions=True)

    async def assign(self, names: Collection[bytes], *, lost: Collection[bytes] = ()) -> None:
        """Assign channels to the connections of the nodes that announce them; messages of those in `lost` may be missing."""
        groups: dict[str, list[bytes]] = defaultdict(list)
        for name in names:
            groups[await self._connection.store.node_of(name)].append(name)
        for place, group in groups.items():
            wanted = [name for name in group if name in self.listeners]
            if not wanted:
                continue
            if place not in self._lines:
                self._lines[place] = _NodeSubscription(place, self, self._connection)
            line = self._lines[place]
            self._line_of.update(dict.fromkeys(wanted, line))
            await line.add(wanted, lost)

    def remove_node(self, node: str) -> None:
        """A node's connection has no channels any more."""
        self._lines.pop(node, None)

    def mark_lost(self, names: Iterable[bytes]) -> None:
        """These channels are not subscribed for now."""
        self._confirmed.difference_update(names)

    async def mark_confirmed(self, name: bytes) -> None:
        """The subscription of this channel is confirmed."""
        async with self._changed:
            self._confirmed.add(name)
            self._changed.notify_all()


class _NodeSubscription:
    """One connection to one node, with the channels that it announces."""

    def __init__(self, node: str, subscriber: Subscriber, connection: Connection) -> None:
        self._node = node
        self._subscriber = subscriber
        self._connection = connection
        self._names: set[bytes] = set()
        self._lost: set[bytes] = set()  # messages may have been missed
        self._restored: set[bytes] = set()  # confirmed again; listeners are notified once all are
        self._unsubscribing: Counter[bytes] = Counter()  # unsubscribed, until it is confirmed
        self._socket: AbstractConnection | None = None
        self._is_closed = False
        with unbound():
            self.task = asyncio.create_task(self._run(), name="broker-subscriber")

    def close(self) -> None:
        """Stop listening; `task` ends."""
        # redis-py loses a cancellation that meets an arriving message; the loops also check this flag
        self._is_closed = True
        self.task.cancel()

    async def add(self, names: Collection[bytes], lost: Collection[bytes]) -> None:
        """Subscribe to more channels."""
        self._names.update(names)
        self._lost.update(name for name in names if name in lost)
        await self._send("SUBSCRIBE", names)

    async def drop(self, names: Collection[bytes]) -> None:
        """Unsubscribe from channels."""
        self._names.difference_update(names)
        self._lost.difference_update(names)
        if self._socket is not None:
            self._unsubscribing.update(names)
        await self._send("UNSUBSCRIBE", names)
        self._notify_restored()

    async def _send(self, command: str, names: Collection[bytes]) -> None:
        """Best effort: a connection that is reconnecting subscribes to all its channels anyway."""
        wire = self._socket
        if wire is not None:
            try:
                await _send(wire, command, names)
            except STORE_ERRORS:
                await wire.disconnect(nowait=True)

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._is_closed:
            try:
                wire = self._connection.store.new_connection(self._node)
                try:
                    await wire.connect()
                    await self._begin(wire)
                    pause_s = FIRST_PAUSE_S
                    await self._listen(wire)
                finally:
                    self._socket = None
                    self._unsubscribing.clear()
                    await wire.disconnect(nowait=True)
            except STORE_ERRORS as error:
                _log.warning("subscription lost", error=type(error).__name__)
            self._subscriber.mark_lost(self._names)
            self._lost.update(self._names)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            await self._move_names()
            if not self._names:
                self._subscriber.remove_node(self._node)
                return

    async def _begin(self, wire: AbstractConnection) -> None:
        sent = set(self._names)
        await _send(wire, "SUBSCRIBE", sent)
        self._socket = wire  # from here on, `add` sends its own subscriptions
        await _send(wire, "SUBSCRIBE", self._names - sent)

    async def _move_names(self) -> None:
        """Move channels that another node announces now to that node's connection."""
        await self._connection.refresh()
        try:
            moved = [name for name in self._names if await self._connection.store.node_of(name) != self._node]
            self._names.difference_update(moved)
            self._lost.difference_update(moved)
            await self._subscriber.assign(moved, lost=moved)
        except STORE_ERRORS:
            pass  # the owner is unknown for now: they stay here until it is known

    async def _listen(self, wire: AbstractConnection) -> None:
        while not self._is_closed:
            kind, name, payload = await wire.read_response(timeout=NO_TIMEOUT)
            if kind in (b"message", b"smessage"):
                for listener in list(self._subscriber.listeners.get(name, ())):
                    try:
                        listener.on_message(payload)
                    except Exception as error:  # a bad message for one listener must not stop the others
                        _log.error("a message can't be read", error=type(error).__name__)
            elif kind in (b"subscribe", b"ssubscribe"):
                if name in self._names:
                    await self._subscriber.mark_confirmed(name)
                    self._mark_restored(name)
            elif kind == b"sunsubscribe":
                if self._unsubscribing[name]:
                    self._unsubscribing[name] -= 1
                elif name in self._names:
                    raise RedisConnectionError("a slot has moved to another node")

    def _mark_restored(self, name: bytes) -> None:
        if name in self._lost:
            self._lost.remove(name)
            self._restored.add(name)
            self._notify_restored()

    def _notify_restored(self) -> None:
        if not self._lost and self._restored:
            back, self._restored = self._restored, set()
            listeners = [one for each in back for one in self._subscriber.listeners.get(each, ())]
            for listener in {id(one): one for one in listeners}.values():
                listener.on_gap()


async def _send(wire: AbstractConnection, command: str, names: Collection[bytes]) -> None:
    """SUBSCRIBE or UNSUBSCRIBE: plain channels at once, sharded ones slot by slot."""
    groups: dict[bytes, list[bytes]] = defaultdict(list)
    for name in names:
        _, brace, rest = name.partition(b"{")
        groups[rest.partition(b"}")[0] if brace else b""].append(name)
    for tag, group in groups.items():
        await wire.send_command(f"S{command}" if tag else command, *group)
