"""The line to Valkey/Redis: patience and scripts. Every foreign exception becomes BrokerLost here, once.

The store is one server or a cluster (`one_server`, `cluster`); `connect` decides by the URL, and whoever sends commands need not
know. Two sets of connections, below 50 in all (plan A1.2): commands share one, blocking reads have the other, so that a waiting
worker never starves a publishing one; one more is for limits, to which a storm of commands must not look like an outage. A lost
server is tried again with growing pauses until `patience_s` is over; each command sent through here must therefore bear being
sent twice (scripts carry a nonce, readers drop what they have).
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

PATIENCE_S = 5.0  # a restarted Valkey answers after 50 ms; a caller hears five seconds as a broken line
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5

NO_TIMEOUT = math.inf

Client = Redis | RedisCluster
StreamEntry = tuple[bytes, dict[bytes, bytes]]

AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError)
_AWAY_CLUSTER = (*AWAY, ClusterError, RedisClusterException, AskError, TryAgainError)
STORE_ERRORS = (RedisError, RedisClusterException, OSError)
"""Whatever the library may raise."""

_T = TypeVar("_T")


class Store(Protocol):
    """What one server and a cluster have in common.

    Attributes:
        is_cluster: no command may touch keys of two slots.
        commands: for what is answered at once.
        blocking: for reads that wait.
        aside: for one short command at a time that must not wait behind all others.
    """

    is_cluster: bool

    @property
    def commands(self) -> Client:
        """For what is answered at once."""

    @property
    def blocking(self) -> Client:
        """For reads that wait."""

    @property
    def aside(self) -> Client:
        """For one short command at a time that must not wait behind all others."""

    def room(self) -> AbstractAsyncContextManager[object]:
        """Held around commands, so that any number of callers stays within the bound on connections."""

    async def refresh(self) -> None:
        """Learn anew which node owns what, after a failure."""

    async def of_each(self, *command: str) -> list[Any]:
        """What each node answers to a command about itself; one server is one node."""

    async def read_group(self, stream: str, group: str, worker: str, *, count: int, block_ms: int) -> Any:
        """XREADGROUP of what nobody had yet; waits."""

    async def place_of(self, channel: bytes) -> str:
        """Which node announces on this channel. Raises a ConnectionError of the library."""

    def raw(self, place: str) -> AbstractConnection:
        """A connection to a node, outside the pools, for a subscriber that owns it. Not yet connected."""

    async def close(self) -> None:
        """Close all connections."""


def connect(url: str) -> Store:
    """The store that a URL names: `redis+cluster://…` and `rediss+cluster://…` a cluster, anything else one server."""
    return Cluster(url) if url.startswith(CLUSTER_SCHEMES) else OneServer(url)


class Script:
    """One Lua script of `lua/`, called by its digest; the text travels only when the server does not know it yet."""

    def __init__(self, name: str, *, package: str = "agentvoicebox.broker") -> None:
        self.text = resources.files(package).joinpath("lua", f"{name}.lua").read_text()
        self._sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Client, keys: list[str], args: list[Any]) -> Any:
        """Run it on `keys`, all of one slot, and `args`."""
        try:
            return await redis.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:  # a server that has just started
            return await redis.eval(self.text, len(keys), *keys, *args)


class Connection:
    """The store, patiently.

    Args:
        url: see `connect`.
        patience_s: how long a command is tried again while the server is away, before BrokerLost.

    Attributes:
        outages: how often it was found away.
    """

    def __init__(self, url: str, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self.store = connect(url)
        self._away = _AWAY_CLUSTER if self.store.is_cluster else AWAY
        self.outages = 0

    @property
    def commands(self) -> Client:
        """For what is answered at once; to be used within `call` or `once`."""
        return self.store.commands

    async def call(self, what: Callable[[], Awaitable[_T]]) -> _T:
        """Await `what()`, again and again while the server is away.

        Raises:
            BrokerLost: the store stayed away for `patience_s`, or refused the command.
        """
        return await self._patiently(lambda: self.once(what))

    async def wait(self, what: Callable[[], Awaitable[_T]]) -> _T:
        """As `call`, for a read that blocks: it takes no room from commands."""
        return await self._patiently(what)

    async def once(self, what: Callable[[], Awaitable[_T]]) -> _T:
        """Await `what()` within the bound on connections, without trying again. Raises whatever the library raises."""
        async with self.store.room():
            return await what()

    async def _patiently(self, what: Callable[[], Awaitable[_T]]) -> _T:
        loop = asyncio.get_running_loop()
        gives_up_s = loop.time() + self._patience_s
        pause_s = FIRST_PAUSE_S
        task = asyncio.current_task()
        cancelled_before = 0 if task is None else task.cancelling()
        while True:
            try:
                answer = await what()
            except self._away as error:
                self.outages += 1
                if loop.time() + pause_s > gives_up_s or _is_no_cluster(error):
                    raise BrokerLost(_said(error)) from error
            except (MovedError, ClusterCrossSlotError) as error:
                raise BrokerLost("the store is a cluster; AVB_REDIS_URL should begin with redis+cluster://") from error
            except STORE_ERRORS as error:
                raise BrokerLost(_said(error)) from error
            else:
                if task is not None and task.cancelling() > cancelled_before:
                    # redis-py loses a cancellation that meets the arriving answer; whoever cancelled would wait for ever
                    raise asyncio.CancelledError
                return answer
            await asyncio.sleep(pause_s)
            await self.refresh()
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def refresh(self) -> None:
        """See Store; nothing is raised when nobody answers."""
        with contextlib.suppress(*STORE_ERRORS):
            await self.store.refresh()

    async def close(self) -> None:
        """Close all connections."""
        await self.store.close()


def _is_no_cluster(error: BaseException) -> bool:
    return "Cluster mode is not enabled" in str(error)


def _said(error: BaseException) -> str:
    if _is_no_cluster(error):
        return "the store is no cluster; AVB_REDIS_URL should begin with redis://"
    if isinstance(error, _AWAY_CLUSTER):
        return f"the store is away ({type(error).__name__})"
    # The store's own words may hold what it was given; their first says what is the matter.
    return f"the store refused a command ({type(error).__name__}, {str(error).partition(' ')[0][:40]})"


def new_nonce() -> bytes:
    """Eight random bytes that tell a repeated command from a new one."""
    return secrets.token_bytes(8)


def entries_of(answer: Any) -> list[StreamEntry]:
    """Stream entries from a reply, as bytes; an entry that was deleted while it was pending is left out."""
    return [(entry_id, fields) for entry_id, fields in answer or () if fields]
