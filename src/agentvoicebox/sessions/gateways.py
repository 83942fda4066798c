"""The gateways of one store: each writes a line about itself, kept alive by heartbeats, for operators.

All lines are fields of one hash, so one read shows every gateway, on one server and in a cluster. A line counts for as long as a
session outlives its gateway; nothing depends on it, so what is lost is written again with the next heartbeat.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from agentvoicebox.broker import keys
from agentvoicebox.broker.connection import Connection
from agentvoicebox.errors import BrokerLost
from agentvoicebox.sessions.store_time import GivenTime, StoreTime


class GatewayLine(msgspec.Struct, frozen=True):
    """What a gateway says about itself.

    Attributes:
        calls, max_calls: that it has, and may have.
        is_draining: it takes no more calls.
        at_s: when it said so, by the store's time (Unix seconds).
    """

    gateway_id: str
    version: str
    calls: int
    max_calls: int
    is_draining: bool
    at_s: float = 0.0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(GatewayLine)


class GatewayDirectory:
    """Reads all lines, and writes this gateway's.

    Args:
        connection: the connection to the store (`RedisBroker.connection`).
        describe: this gateway, now; its `at_s` does not matter.
        time: the store's, by default.
    """

    def __init__(
        self, connection: Connection, describe: Callable[[], GatewayLine], *, time: StoreTime | GivenTime | None = None
    ) -> None:
        self._connection = connection
        self._describe = describe
        self._time = time or StoreTime(connection)

    @property
    def own_id(self) -> str:
        """This gateway's id."""
        return self._describe().gateway_id

    async def read(self) -> list[GatewayLine]:
        """The gateways that live, by id. Raises BrokerLost."""
        found = await self._connection.call(self._read)
        alive_s = await self._time.now_s() - keys.SESSION_TTL_S
        lines = [line for line in map(_line_of, found.values()) if line is not None and line.at_s > alive_s]
        return sorted(lines, key=lambda line: line.gateway_id)

    async def announce(self) -> None:
        """Write this gateway's line, and remove those of gateways that are gone. Raises BrokerLost."""
        now_s = await self._time.now_s()
        line = msgspec.structs.replace(self._describe(), at_s=now_s)

        async def write() -> dict[Any, Any]:
            pipe = self._connection.commands.pipeline(transaction=False)
            pipe.hset(keys.GATEWAYS, line.gateway_id, _encoder.encode(line))
            pipe.expire(keys.GATEWAYS, keys.SESSION_TTL_S)
            pipe.hgetall(keys.GATEWAYS)
            found: dict[Any, Any] = (await pipe.execute())[-1]
            return found

        found = await self._connection.call(write)
        lines = {name: _line_of(text) for name, text in found.items()}
        gone = [name for name, each in lines.items() if each is None or each.at_s <= now_s - keys.SESSION_TTL_S]
        if gone:
            await self._connection.call(lambda: self._connection.commands.hdel(keys.GATEWAYS, *gone))

    async def leave(self) -> None:
        """Remove this gateway's line. Raises BrokerLost; then it counts for half a minute."""
        await self._connection.call(lambda: self._connection.commands.hdel(keys.GATEWAYS, self.own_id))

    async def run(self, stop: asyncio.Event) -> None:
        """Send heartbeats until `stop`, then leave; while the store is away, retry with the next."""
        while not stop.is_set():
            with contextlib.suppress(BrokerLost):  # others log that the store is away
                await self.announce()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(keys.SESSION_HEARTBEAT_S):
                    await stop.wait()
        with contextlib.suppress(BrokerLost):
            await self.leave()

    async def _read(self) -> dict[Any, Any]:
        found: dict[Any, Any] = await self._connection.commands.hgetall(keys.GATEWAYS)
        return found


def _line_of(text: Any) -> GatewayLine | None:
    """None for a line that can't be read."""
    try:
        return _decoder.decode(text)
    except msgspec.MsgspecError:
        return None
