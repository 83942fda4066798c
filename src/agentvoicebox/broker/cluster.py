"""A store that is a Redis Cluster: each key on the node that owns its slot, each session's announcements from that same node.

So a session's records and the news of them live and die together, as on one server. The library finds nodes and follows moved
slots; here are the bounds on connections, and which node announces what. That no command or script spans slots is the affair of
`keys` and of whoever writes commands.
"""

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException

from agentvoicebox.broker.one_server import BLOCKING_CONNECTIONS, COMMAND_CONNECTIONS, SOCKET_TIMEOUT_S, no_retry

SCHEMES = ("redis+cluster://", "rediss+cluster://")
USUAL_PORT = 6379
LEAST_ROOM = 2


class Cluster:
    """See `connection.Store`.

    Args:
        url: `redis+cluster://user:password@host:port,host:port`; one reachable node is enough. `rediss+cluster://` with TLS.
    """

    is_cluster = True

    def __init__(self, url: str) -> None:
        self.commands = _client(url)
        self.blocking = _client(url)
        self._room: asyncio.Semaphore | None = None

    @property
    def aside(self) -> RedisCluster:
        """See Store. Callers wait for `room`, not for a connection, so what comes without asking for room waits for nobody."""
        return self.commands

    def room(self) -> AbstractAsyncContextManager[object]:
        """See Store. A pipeline may hold a connection to every node, so the fewer at once the more nodes there are."""
        return self._gate()

    @contextlib.asynccontextmanager
    async def _gate(self) -> Any:
        if self._room is None:
            await self.commands.initialize()
            primaries = len(self.commands.get_primaries())
            self._room = self._room or asyncio.Semaphore(max(LEAST_ROOM, COMMAND_CONNECTIONS // (primaries + 1)))
        async with self._room:
            yield

    async def refresh(self) -> None:
        """See Store."""
        for client in (self.commands, self.blocking):
            await client.nodes_manager.initialize()

    async def of_each(self, *command: str) -> list[Any]:
        """See Store."""
        await self.commands.initialize()
        nodes = self.commands.get_primaries()
        return [await self.commands.execute_command(*command, target_nodes=node) for node in nodes]

    async def read_group(self, stream: str, group: str, worker: str, *, count: int, block_ms: int) -> Any:
        """See Store. The node is named, else the library would ask the cluster each time where such a command has its key."""
        await self.blocking.initialize()
        words = ("GROUP", group, worker, "BLOCK", block_ms, "COUNT", count, "STREAMS", stream, ">")
        node = self.blocking.get_node_from_key(stream)
        return await self.blocking.execute_command("XREADGROUP", *words, target_nodes=node)

    async def place_of(self, channel: bytes) -> str:
        """See Store. Channels of no session are announced by every node: any one will do."""
        try:
            await self.blocking.initialize()
            node = (
                self.blocking.get_node_from_key(channel.decode())
                if b"{" in channel
                else self.blocking.get_random_node()
            )
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error
        if node is None:
            raise RedisConnectionError("no node owns the slot")
        return str(node.name)

    def raw(self, place: str) -> AbstractConnection:
        """See Store."""
        node = self.blocking.get_node(node_name=place)
        if node is None:
            raise RedisConnectionError(f"{place} is no node of the cluster any more")
        connection: AbstractConnection = node.connection_class(**node.connection_kwargs, retry=no_retry())
        return connection

    async def close(self) -> None:
        """See Store."""
        for client in (self.commands, self.blocking):
            await client.aclose()


def _client(url: str) -> RedisCluster:
    parts = urlsplit(url)
    hosts = [host.partition(":") for host in parts.netloc.rpartition("@")[2].split(",")]
    return RedisCluster(
        startup_nodes=[ClusterNode(host, int(port or USUAL_PORT)) for host, _, port in hosts],
        username=parts.username,
        password=parts.password,
        ssl=parts.scheme.startswith("rediss"),
        max_connections=COMMAND_CONNECTIONS + BLOCKING_CONNECTIONS,  # a net: `room` keeps far below it
        protocol=2,
        retry=no_retry(),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
    )
