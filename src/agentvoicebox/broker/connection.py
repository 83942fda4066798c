"""The connection to Valkey/Redis: retries and scripts. Every foreign exception becomes BrokerLost here, once.

The store is one server or a cluster (`one_server`, `cluster`); `connect` decides by the URL, and callers need not
know which. Two sets of connections, below 50 in all (plan A1.2): commands share one, blocking reads have the other, so that a
waiting worker never starves a publishing one; one more is for limits, so that a burst of commands does not look like an outage.
Commands are retried with growing pauses until `retry_for_s` is over, so each command sent here must be idempotent
(scripts carry a nonce, readers drop duplicates).
"""

import asyncio
import contextlib
import hashlib
import math
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from importlib import resources
from typing import Any, Protocol, TypeVar

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from agentvoicebox.broker.cluster import SCHEMES as CLUSTER_SCHEMES
from agentvoicebox.broker.cluster import Cluster
from agentvoicebox.broker.one_server import OneServer
from agentvoicebox.errors import BrokerLost

RETRY_FOR_S = 5.0  # a restarted Valkey answers after 50 ms; after five seconds a caller takes the line for dead
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5

NO_TIMEOUT = math.inf

Client = Redis | RedisCluster
StreamEntry = tuple[bytes, dict[bytes, bytes]]

AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError)
_AWAY_CLUSTER = (*AWAY, ClusterError, RedisClusterException, AskError, TryAgainError)
STORE_ERRORS = (RedisError, RedisClusterException, OSError)
"""Every exception that the library may raise."""

_T = TypeVar("_T")


class Store(Protocol):
    """What one server and a cluster have in common.

    Attributes:
        is_cluster: commands and scripts may not touch keys of two slots.
        commands: client for commands that are answered at once.
        blocking: client for reads that wait.
        priority: client for one short command at a time that must not queue behind all others.
    """

    is_cluster: bool

    @property
    def commands(self) -> Client:
        """Client for commands that are answered at once."""

    @property
    def blocking(self) -> Client:
        """Client for reads that wait."""

    @property
    def priority(self) -> Client:
        """Client for one short command at a time that must not queue behind all others."""

    def command_slot(self) -> AbstractAsyncContextManager[object]:
        """Held around commands, so that the number of connections stays within its bound."""

    async def refresh(self) -> None:
        """Reload which node owns which slots, after a failure."""

    async def on_each_node(self, *command: str) -> list[Any]:
        """Each node's answer to a command about itself; a single server counts as one node."""

    async def read_group(self, stream: str, group: str, worker: str, *, count: int, block_ms: int) -> Any:
        """XREADGROUP of new entries; blocks."""

    async def node_of(self, channel: bytes) -> str:
        """The node that announces on this channel. Raises a ConnectionError of the library."""

    def new_connection(self, node: str) -> AbstractConnection:
        """A new connection to a node, outside the pools, for a subscriber that owns it. Not yet connected."""

    async def close(self) -> None:
        """Close all connections."""


def connect(url: str) -> Store:
    """The store that a URL names: `redis+cluster://…` and `rediss+cluster://…` a cluster, anything else one server."""
    return Cluster(url) if url.startswith(CLUSTER_SCHEMES) else OneServer(url)


class Script:
    """One Lua script of `lua/`, called by its digest; the text is sent only when the server does not know it yet."""

    def __init__(self, name: str, *, package: str = "agentvoicebox.broker") -> None:
        self.text = resources.files(package).joinpath("lua", f"{name}.lua").read_text()
        self._sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Client, keys: list[str], args: list[Any]) -> Any:
        """Run it on `keys`, all of one slot, and `args`."""
        try:
            return await redis.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:  # the server has just started
            return await redis.eval(self.text, len(keys), *keys, *args)


class Connection:
    """The store, with retries.

    Args:
        url: see `connect`.
        retry_for_s: how long a command is retried while the server is away, before BrokerLost.

    Attributes:
        outages: how many outages were seen.
    """

    def __init__(self, url: str, *, retry_for_s: float = RETRY_FOR_S) -> None:
        self._retry_for_s = retry_for_s
        self.store = connect(url)
        self._retryable_errors = _AWAY_CLUSTER if self.store.is_cluster else AWAY
        self.outages = 0

    @property
    def commands(self) -> Client:
        """Client for commands that are answered at once; to be used within `call` or `once`."""
        return self.store.commands

    async def call(self, what: Callable[[], Awaitable[_T]]) -> _T:
        """Await `what()`, and retry while the server is away.

        Raises:
            BrokerLost: the store was away for `retry_for_s`, or refused the command.
        """
        return await self._with_retries(lambda: self.once(what))

    async def wait(self, what: Callable[[], Awaitable[_T]]) -> _T:
        """As `call`, for a read that blocks: it needs no command slot."""
        return await self._with_retries(what)

    async def once(self, what: Callable[[], Awaitable[_T]]) -> _T:
        """Await `what()` within the bound on connections, without retries. Raises the library's exceptions."""
        async with self.store.command_slot():
            return await what()

    async def _with_retries(self, what: Callable[[], Awaitable[_T]]) -> _T:
        loop = asyncio.get_running_loop()
        gives_up_s = loop.time() + self._retry_for_s
        pause_s = FIRST_PAUSE_S
        task = asyncio.current_task()
        cancelled_before = 0 if task is None else task.cancelling()
        while True:
            try:
                answer = await what()
            except self._retryable_errors as error:
                self.outages += 1
                if loop.time() + pause_s > gives_up_s or _is_no_cluster(error):
                    raise BrokerLost(_error_text(error)) from error
            except (MovedError, ClusterCrossSlotError) as error:
                raise BrokerLost("the store is a cluster; AVB_REDIS_URL should begin with redis+cluster://") from error
            except STORE_ERRORS as error:
                raise BrokerLost(_error_text(error)) from error
            else:
                if task is not None and task.cancelling() > cancelled_before:
                    # redis-py loses a cancellation that meets the arriving answer; the canceller would then wait for ever
                    raise asyncio.CancelledError
                return answer
            await asyncio.sleep(pause_s)
            await self.refresh()
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def refresh(self) -> None:
        """See Store; raises nothing when no node answers."""
        with contextlib.suppress(*STORE_ERRORS):
            await self.store.refresh()

    async def close(self) -> None:
        """Close all connections."""
        await self.store.close()


def _is_no_cluster(error: BaseException) -> bool:
    return "Cluster mode is not enabled" in str(error)


def _error_text(error: BaseException) -> str:
    if _is_no_cluster(error):
        return "the store is no cluster; AVB_REDIS_URL should begin with redis://"
    if isinstance(error, _AWAY_CLUSTER):
        return f"the store is away ({type(error).__name__})"
    # The error text may repeat the arguments; its first word is the error code.
    return f"the store refused a command ({type(error).__name__}, {str(error).partition(' ')[0][:40]})"


def new_nonce() -> bytes:
    """Eight random bytes that distinguish a repeated command from a new one."""
    return secrets.token_bytes(8)


def entries_of(answer: Any) -> list[StreamEntry]:
    """Stream entries from a reply, as bytes; an entry that was deleted while it was pending is left out."""
    return [(entry_id, fields) for entry_id, fields in answer or () if fields]
