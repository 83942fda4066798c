"""A store that is a Redis Cluster: each key on the node that owns its slot, each session's announcements on that same node.

So a session's results and their announcements are lost or kept together, as on one server. The library finds nodes and follows
moved slots; this file bounds the connections and decides which node announces what. `keys` and the callers ensure that no
command or script spans slots.
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
        self._slots: asyncio.Semaphore | None = None

    @property
    def priority(self) -> RedisCluster:
        """See Store. Callers wait for a `command_slot`, not for a connection, so a priority command waits for no other."""
        return self.commands

    def command_slot(self) -> AbstractAsyncContextManager[object]:
        """See Store. A pipeline may hold a connection to every node: the more nodes, the fewer pipelines at once."""
        return self._wait_for_slot()

    @contextlib.asynccontextmanager
    async def _wait_for_slot(self) -> Any:
        if self._slots is None:
            await self.commands.initialize()
            primaries = len(self.commands.get_primaries())
            self._slots = self._slots or asyncio.Semaphore(max(LEAST_ROOM, COMMAND_CONNECTIONS // (primaries + 1)))
        async with self._slots:
            yield

    async def refresh(self) -> None:
        """See Store."""
        for client in (self.commands, self.blocking):
            await client.nodes_manager.initialize()

    async def on_each_node(self, *command: str) -> list[Any]:
        """See Store."""
        await self.commands.initialize()
        nodes = self.commands.get_primaries()
        return [await self.commands.execute_command(*command, target_nodes=node) for node in nodes]

    async def read_group(self, stream: str, group: str, worker: str, *, count: int, block_ms: int) -> Any:
        """See Store. The node is given, because the library would otherwise ask the cluster for the command's key each time."""
        await self.blocking.initialize()
        words = ("GROUP", group, worker, "BLOCK", block_ms, "COUNT", count, "STREAMS", stream, ">")
        node = self.blocking.get_node_from_key(stream)
        return await self.blocking.execute_command("XREADGROUP", *words, target_nodes=node)

    async def node_of(self, channel: bytes) -> str:
        """See Store. Channels that belong to no session are announced by every node: any node will do."""
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

    def new_connection(self, node: str) -> AbstractConnection:
        """See Store."""
        found = self.blocking.get_node(node_name=node)
        if found is None:
            raise RedisConnectionError(f"{node} is no longer a node of the cluster")
        connection: AbstractConnection = found.connection_class(**found.connection_kwargs, retry=no_retry())
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
        max_connections=COMMAND_CONNECTIONS + BLOCKING_CONNECTIONS,  # an upper bound; `command_slot` stays far below it
        protocol=2,
        retry=no_retry(),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
    )
