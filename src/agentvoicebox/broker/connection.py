"""The line to Valkey/Redis: pools, patience, scripts. Every foreign exception becomes BrokerLost here, once.

Commands share one wire (`wire`), blocking reads have a pool of their own, so that a waiting worker never holds up a publishing
one; below 50 connections in all (plan A1.2). A lost server is tried again with growing pauses until `patience_s` is over; each
command sent through here must therefore bear being sent twice (scripts carry a nonce, readers drop what they have).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, NoScriptError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from agentvoicebox.broker.wire import WiredRedis
from agentvoicebox.errors import BrokerLost

COMMAND_CONNECTIONS = 40  # for transactions alone; all other commands share one
BLOCKING_CONNECTIONS = 8  # one claim per job kind, one utterance reader, one subscriber, one to spare
SOCKET_TIMEOUT_S = 3.0  # a healthy server answers within milliseconds; blocking reads wait at most one second
PATIENCE_S = 5.0  # a restarted Valkey answers after 50 ms; a caller hears five seconds as a broken line
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5

StreamEntry = tuple[bytes, dict[bytes, bytes]]

_AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError)

_T = TypeVar("_T")


class Script:
    """One Lua script of `lua/`, called by its digest; the text travels only when the server does not know it yet."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.text = resources.files("agentvoicebox.broker").joinpath("lua", f"{name}.lua").read_text()
        self._sha = ""

    async def __call__(self, redis: "Redis", keys: list[str], args: list[Any]) -> Any:
        """Run it on `keys` and `args`."""
        if not self._sha:
            self._sha = await redis.script_load(self.text)
        try:
            return await redis.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:  # the server restarted
            return await redis.eval(self.text, len(keys), *keys, *args)


class Connection:
    """The wire and the pool to one server.

    Args:
        url: `redis://host:port/0`, `rediss://…` or `unix:///path/to.sock`.
        patience_s: how long a command is tried again while the server is away, before BrokerLost.
    """

    def __init__(self, url: str, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._retry = Retry(NoBackoff(), 0)  # trying again is decided here, not inside the client
        self.commands = WiredRedis(self._pool(url, COMMAND_CONNECTIONS), timeout_s=SOCKET_TIMEOUT_S)
        self.blocking = Redis.from_pool(self._pool(url, BLOCKING_CONNECTIONS))
        self.outages = 0

    def _pool(self, url: str, connections: int) -> BlockingConnectionPool:
        # A unix socket notices a dead peer by itself; TCP needs to ask.
        keepalive = {} if url.startswith("unix://") else {"socket_keepalive": True}
        return BlockingConnectionPool.from_url(
            url,
            **keepalive,
            max_connections=connections,
            timeout=SOCKET_TIMEOUT_S,
            protocol=2,
            retry=self._retry,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
        )

    async def call(self, what: Callable[[], Awaitable[_T]]) -> _T:
        """Await `what()`, again and again while the server is away.

        Raises:
            BrokerLost: the server stayed away for `patience_s`, or refused the command.
        """
        loop = asyncio.get_running_loop()
        gives_up_s = loop.time() + self._patience_s
        pause_s = FIRST_PAUSE_S
        task = asyncio.current_task()
        cancelled_before = 0 if task is None else task.cancelling()
        while True:
            try:
                answer = await what()
            except _AWAY as error:
                self.outages += 1
                if loop.time() + pause_s > gives_up_s:
                    raise BrokerLost(f"the store is away ({type(error).__name__})") from error
            except RedisError as error:
                raise BrokerLost(f"the store refused a command: {error}") from error
            else:
                if task is not None and task.cancelling() > cancelled_before:
                    # redis-py loses a cancellation that meets the arriving answer; whoever cancelled would wait for ever
                    raise asyncio.CancelledError
                return answer
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def raw(self) -> AbstractConnection:
        """A connection outside the pools, for a subscriber that owns it. Not yet connected."""
        pool = self.blocking.connection_pool
        connection: AbstractConnection = pool.connection_class(**pool.connection_kwargs)
        return connection

    async def close(self) -> None:
        """Close everything."""
        for client in (self.commands, self.blocking):
            await client.aclose()
            await client.connection_pool.disconnect()


def new_nonce() -> bytes:
    """Eight random bytes that tell a repeated command from a new one."""
    return secrets.token_bytes(8)


def entries_of(answer: Any) -> list[StreamEntry]:
    """Stream entries from a reply, as bytes; an entry that was deleted while it was pending is left out."""
    return [(entry_id, fields) for entry_id, fields in answer or () if fields]
