"""One shared connection to the store: all commands of one turn of the loop are sent together, answers are assigned in order.

redis-py takes a connection from a pool for each command, guards it with a timeout of its own and checks several times whether
it is alive: 84 µs of processor time per command, here 31 (445 and 250 when the caches are cold, as between two turns). The store
answers in order, so one connection and a queue of pending replies are enough. The sessions of a gateway write in the same turns
of the loop, and a write costs more than what is written: so commands go out together. redis-py still parses answers.

Invariant: each answer reaches its caller, even if others were cancelled meanwhile; when the connection is lost, or an answer
takes longer than the timeout, all pending calls fail, and the next command reconnects.
"""

import asyncio
import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from agentvoicebox.broker.light_event import LightEvent

NO_TIMEOUT = math.inf

Command = tuple[Any, ...]

_BUFFERS = (bytearray, memoryview)


class _PendingReply:
    """A caller that waits for some answers."""

    __slots__ = ("answers", "at_s", "count", "done")

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self.count = count
        self.answers: list[Any] = []
        self.at_s = loop.time()
        self.done: asyncio.Future[list[Any]] = loop.create_future()


class SharedConnection:
    """The shared connection. Connects with the first command."""

    def __init__(self, pool: ConnectionPool, *, timeout_s: float) -> None:
        """`pool` provides address and credentials; none of its connections is used."""
        self._pool = pool
        self._timeout_s = timeout_s
        self._pending: deque[_PendingReply] = deque()
        self._connection: AbstractConnection | None = None
        self._connecting = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._outgoing: list[bytes] = []  # of `_pending`, what was not sent, in the same order
        self._has_outgoing = LightEvent()
        self._check_timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """The answer to each command; a command that the store refused is answered by its ResponseError.

        Raises:
            RedisError, OSError: there is no connection, it was lost, or no answer came in time. Commands may have run.
        """
        if self._connection is None:
            await self._connect()
        asked = _PendingReply(len(commands), asyncio.get_running_loop())
        # Packed before it is pending: a command that can't be packed is its caller's error alone.
        packed = [_packed(command) for command in commands]
        self._pending.append(asked)
        self._outgoing += packed
        self._has_outgoing.set()
        if self._check_timer is None:
            self._schedule_check(self._timeout_s)
        return await asked.done

    async def close(self) -> None:
        """Disconnect; no command can be sent afterwards. Idempotent."""
        self._is_closed = True
        connection = self._connection
        if connection is not None:
            self._drop_connection(connection, RedisConnectionError("closed"))
        for task in (self._reading, self._writing):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _connect(self) -> None:
        async with self._connecting:
            if self._connection is not None:
                return
            if self._is_closed:
                raise RedisError("the connection to the store is closed")
            connection = self._pool.connection_class(**{**self._pool.connection_kwargs, "socket_timeout": None})
            try:
                async with asyncio.timeout(self._timeout_s):
                    await connection.connect()
            except TimeoutError as error:
                await connection.disconnect(nowait=True)
                raise RedisTimeoutError("the store refuses the credentials") from error
            self._connection = connection
            self._reading = asyncio.create_task(self._read(connection), name="broker-wire")
            self._writing = asyncio.create_task(self._write(connection), name="broker-writes")

    async def _write(self, connection: AbstractConnection) -> None:
        """Send what all callers asked for since the last time, in one piece."""
        try:
            while True:
                await self._has_outgoing.wait()
                self._has_outgoing.clear()
                packed, self._outgoing = self._outgoing, []
                await connection.send_packed_command(packed, check_health=False)
        except (RedisError, OSError) as error:
            self._drop_connection(connection, error)

    async def _read(self, connection: AbstractConnection) -> None:
        try:
            while True:
                try:
                    answer = await connection.read_response(timeout=NO_TIMEOUT)
                except ResponseError as error:
                    answer = error
                asked = self._pending[0]
                asked.answers.append(answer)
                if len(asked.answers) == asked.count:
                    self._pending.popleft()
                    if not asked.done.done():
                        asked.done.set_result(asked.answers)
        except (RedisError, OSError) as error:
            self._drop_connection(connection, error)
        finally:
            await connection.disconnect(nowait=True)

    def _drop_connection(self, connection: AbstractConnection, error: Exception) -> None:
        """Drop this connection. All pending calls wait for it: a new one is made only after it is lost."""
        if self._connection is not connection:
            return
        self._connection = None
        for task in (self._reading, self._writing):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        waiting, self._pending = self._pending, deque()
        self._outgoing = []
        self._has_outgoing.clear()
        for asked in waiting:
            if not asked.done.done():
                asked.done.set_exception(error)
        if self._check_timer is not None:
            self._check_timer.cancel()
            self._check_timer = None

    def _schedule_check(self, seconds: float) -> None:
        self._check_timer = asyncio.get_running_loop().call_later(seconds, self._check_overdue)

    def _check_overdue(self) -> None:
        """Check whether the oldest pending reply is overdue."""
        self._check_timer = None
        if not self._pending or self._connection is None:
            return
        left_s = self._pending[0].at_s + self._timeout_s - asyncio.get_running_loop().time()
        if left_s > 0:
            self._schedule_check(left_s)
        else:
            self._drop_connection(self._connection, RedisTimeoutError(f"no answer within {self._timeout_s} s"))


def _packed(command: Command) -> bytes:
    """A command as the store reads it. Raises DataError for what can't be sent."""
    name, *words = command
    names = name.split() if isinstance(name, str) else (name,)  # "XGROUP CREATE"
    try:
        packed: bytes = pack_command((*names, *(bytes(word) if isinstance(word, _BUFFERS) else word for word in words)))
    except TypeError as error:
        raise DataError(str(error)) from error
    return packed


class SharedRedis(Redis):
    """redis-py's commands over one connection. Not for blocking reads and subscriptions: they need a connection of their own."""

    def __init__(self, pool: ConnectionPool, *, timeout_s: float) -> None:
        """See `SharedConnection`."""
        super().__init__(connection_pool=pool)
        self.shared = SharedConnection(pool, timeout_s=timeout_s)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """See redis-py."""
        (answer,) = await self.shared.send([args])
        return self.read(answer, args, options)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """See redis-py. A transaction takes a connection of the pool."""
        return super().pipeline(True, shard_hint) if transaction else SharedPipeline(self)

    def read(self, answer: Any, command: Command, options: Mapping[str, Any]) -> Any:
        """Parse an answer as redis-py's methods return it. Raises the answer if it is a ResponseError."""
        if isinstance(answer, ResponseError):
            raise answer
        callback = self.response_callbacks.get(command[0])
        if callback is None:
            return answer
        return callback(answer, **{name: value for name, value in options.items() if name != "keys"})

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """See redis-py."""
        await self.shared.close()
        await super().aclose(close_connection_pool)


class SharedPipeline(Pipeline):
    """Commands that are sent together and answered together. Not a transaction."""

    def __init__(self, redis: SharedRedis) -> None:
        super().__init__(redis.connection_pool, redis.response_callbacks, transaction=False, shard_hint=None)
        self._redis = redis

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """See redis-py: the first refused command's error is raised after all were answered, or returned among the answers."""
        staged, self.command_stack = self.command_stack, []
        if not staged:
            return []
        answers = await self._redis.shared.send([command for command, _ in staged])
        return [
            answer
            if isinstance(answer, ResponseError) and not raise_on_error
            else self._redis.read(answer, command, options)
            for answer, (command, options) in zip(answers, staged, strict=True)
        ]
