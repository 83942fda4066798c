"""The wire that everybody shares: each gets his own answer, whatever happens to the others."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from agentvoicebox.broker.shared_connection import SharedRedis

SHORT_S = 1.0
LONG_S = 30.0


@pytest.fixture
async def wired(redis_url: str) -> AsyncIterator[SharedRedis]:
    made = SharedRedis(ConnectionPool.from_url(redis_url, protocol=2), timeout_s=LONG_S)
    yield made
    await made.aclose()
    await made.connection_pool.disconnect()


@pytest.fixture
async def other(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as made:
        yield made


async def test_a_thousand_askers_at_once_get_their_own_answers_over_one_connection(
    wired: SharedRedis, other: Redis
) -> None:
    before = len(await other.client_list())
    answers = await asyncio.gather(*(wired.echo(str(number)) for number in range(1_000)))
    assert answers == [str(number).encode() for number in range(1_000)]
    assert len(await other.client_list()) == before + 1


async def test_the_answer_to_somebody_who_was_cancelled_goes_to_nobody_else(wired: SharedRedis, other: Redis) -> None:
    await wired.ping()
    await other.client_pause(int(LONG_S * 1000), all=False)
    asking = [asyncio.ensure_future(wired.incr("count")) for _ in range(10)]
    await asyncio.sleep(0)
    for each in asking[::2]:
        each.cancel()
    await other.client_unpause()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    await wired.expire("count", 60)
    assert answers[1::2] == [2, 4, 6, 8, 10]
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])


async def test_a_refused_command_fails_alone_and_what_follows_it_is_done(wired: SharedRedis) -> None:
    pipe = wired.pipeline(transaction=False)
    pipe.set("text", "words", ex=60)
    pipe.incr("text")
    pipe.set("after", "done", ex=60)
    with pytest.raises(ResponseError):
        await pipe.execute()
    assert await wired.get("after") == b"done"
    pipe.get("text")
    pipe.incr("text")
    pipe.get("after")
    answers = await pipe.execute(raise_on_error=False)
    assert (answers[0], type(answers[1]), answers[2]) == (b"words", ResponseError, b"done")
    with pytest.raises(ResponseError):
        await wired.incr("text")
    assert await wired.get("text") == b"words"


async def test_a_transaction_is_one(wired: SharedRedis) -> None:
    pipe = wired.pipeline(transaction=True)
    pipe.set("count", 1, ex=60)
    pipe.incr("count")
    assert await pipe.execute() == [True, 2]


async def test_everybody_who_waits_for_a_lost_connection_is_told_and_the_next_command_finds_a_new_one(
    wired: SharedRedis, other: Redis
) -> None:
    await wired.ping()
    await other.client_pause(int(LONG_S * 1000), all=False)
    asking = [asyncio.ensure_future(wired.unlink("x")) for _ in range(3)]
    await asyncio.sleep(0)
    await other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(answer, RedisConnectionError) for answer in answers)
    await other.client_unpause()
    assert await wired.echo("again") == b"again"


async def test_a_store_that_does_not_answer_is_given_up_in_time(redis_url: str, other: Redis) -> None:
    wired = SharedRedis(ConnectionPool.from_url(redis_url, protocol=2), timeout_s=SHORT_S)
    await wired.ping()
    await other.client_pause(int(LONG_S * 1000), all=False)
    async with asyncio.timeout(LONG_S):
        with pytest.raises(RedisTimeoutError):
            await wired.unlink("x")
    await other.client_unpause()
    assert await wired.echo("again") == b"again"
    await wired.aclose()


async def test_commands_that_are_given_up_while_a_stuck_store_takes_no_bytes_leave_no_error_behind(
    tmp_path: Path,
) -> None:
    """An exception that nobody reads is logged by the loop when its future is collected."""
    forgotten: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: forgotten.append(context["message"]))
    is_stuck, is_over = asyncio.Event(), asyncio.Event()

    async def get_stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"ECHO" not in (received := await reader.read(1024)):
            writer.write(b"+OK\r\n" * received.count(b"SETINFO"))
        is_stuck.set()
        await is_over.wait()
        writer.close()

    path = str(tmp_path / "stuck.sock")
    server = await asyncio.start_unix_server(get_stuck, path, limit=1)
    stuck = SharedRedis(ConnectionPool.from_url(f"unix://{path}", protocol=2), timeout_s=LONG_S)
    asking = [asyncio.ensure_future(stuck.echo("x" * 1_000_000)) for _ in range(10)]
    await is_stuck.wait()
    for _ in asking:
        await asyncio.sleep(0)  # all of them wait for room
    for each in asking:
        each.cancel()
    assert all(isinstance(each, BaseException) for each in await asyncio.gather(*asking, return_exceptions=True))
    del asking
    is_over.set()
    await stuck.aclose()
    await stuck.connection_pool.disconnect()
    server.close()
    await server.wait_closed()
    gc.collect()
    await asyncio.sleep(0)
    assert forgotten == []


async def test_what_is_asked_in_one_turn_of_the_loop_is_one_write(
    wired: SharedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wired.ping()
    writes: list[int] = []
    send = AbstractConnection.send_packed_command

    async def count(self: AbstractConnection, command: list[bytes], check_health: bool = True) -> None:
        writes.append(len(command))
        await send(self, command, check_health)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", count)
    answers = await asyncio.gather(*(wired.echo(str(number)) for number in range(50)))
    assert answers == [str(number).encode() for number in range(50)]
    assert writes == [50]


async def test_a_command_that_cannot_be_sent_is_its_askers_error_alone(wired: SharedRedis) -> None:
    await wired.ping()
    asking = [wired.echo("before"), wired.execute_command("ECHO", object()), wired.echo("after")]
    before, wrong, after = await asyncio.gather(*asking, return_exceptions=True)
    assert (before, after) == (b"before", b"after")
    assert isinstance(wrong, DataError)
