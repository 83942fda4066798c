"""A store that is one server: Valkey/Redis by TCP, TLS or a unix socket. Its clients; it announces every channel itself.

Commands share one connection (`shared_connection`); transactions and blocking reads have connections of their own.
"""

import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from agentvoicebox.broker.shared_connection import SharedRedis

COMMAND_CONNECTIONS = 39  # for a cluster, where commands do not share a connection
TRANSACTION_CONNECTIONS = 4
BLOCKING_CONNECTIONS = 8  # one claim per job kind, one utterance reader, one subscriber, one to spare
ASIDE_CONNECTIONS = 1
SOCKET_TIMEOUT_S = 3.0  # a healthy server answers within milliseconds; blocking reads wait at most one second


class OneServer:
    """See `connection.Store`.

    Args:
        url: `redis://host:port/0`, `rediss://…` or `unix:///path/to.sock`.
    """

    is_cluster = False

    def __init__(self, url: str) -> None:
        self.commands = SharedRedis(_pool(url, TRANSACTION_CONNECTIONS), timeout_s=SOCKET_TIMEOUT_S)
        self.blocking = Redis.from_pool(_pool(url, BLOCKING_CONNECTIONS))
        # Callers of this client have a timeout of their own.
        self.priority = Redis.from_pool(_pool(url, ASIDE_CONNECTIONS, answers_within_s=None))

    def command_slot(self) -> AbstractAsyncContextManager[object]:
        """See Store. The shared connection always has room."""
        return contextlib.nullcontext()

    async def refresh(self) -> None:
        """See Store. There is nothing to reload."""

    async def on_each_node(self, *command: str) -> list[Any]:
        """See Store."""
        return [await self.commands.execute_command(*command)]

    async def read_group(self, stream: str, group: str, worker: str, *, count: int, block_ms: int) -> Any:
        """See Store."""
        return await self.blocking.xreadgroup(group, worker, {stream: ">"}, count=count, block=block_ms)

    async def node_of(self, channel: bytes) -> str:
        """See Store."""
        return "the server"

    def new_connection(self, node: str) -> AbstractConnection:
        """See Store."""
        pool = self.blocking.connection_pool
        connection: AbstractConnection = pool.connection_class(**pool.connection_kwargs)
        return connection

    async def close(self) -> None:
        """See Store."""
        for client in (self.commands, self.blocking, self.priority):
            await client.aclose()
            await client.connection_pool.disconnect()


def no_retry() -> Retry:
    """For every client: retries are decided in `connection`, not inside the library."""
    return Retry(NoBackoff(), 0)


def _pool(url: str, connections: int, *, answers_within_s: float | None = SOCKET_TIMEOUT_S) -> BlockingConnectionPool:
    # A unix socket detects a dead peer by itself; TCP needs keep-alive probes.
    keepalive = {} if url.startswith("unix://") else {"socket_keepalive": True}
    return BlockingConnectionPool.from_url(
        url,
        **keepalive,
        max_connections=connections,
        timeout=SOCKET_TIMEOUT_S,
        protocol=2,
        retry=no_retry(),
        socket_timeout=answers_within_s,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
    )
