"""An embedded server that hangs: it is found silent, killed with all that it has started, and starts again on its data."""

import asyncio
import os
import signal

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from tests.kit.client import until
from tests.kit.processes import family
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.supervisor.embedded.watch import until_ended

pytestmark = pytest.mark.requirement("A1.2")

HUNG_AFTER_S = 0.5


async def ended_by_the_watch(server: EmbeddedValkey | EmbeddedPostgres) -> int:
    async with asyncio.timeout(PATIENCE_S):
        return await until_ended(server, hung_after_s=HUNG_AFTER_S)


async def test_a_stopped_valkey_is_killed_and_starts_again_with_its_keys(own_data_folder: DataFolder) -> None:
    server = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets)
    await server.start()
    try:
        assert server.process is not None
        async with Redis.from_url(server.url) as redis:
            await redis.set("kept", 7)
            await redis.config_set("appendfsync", "always")
        os.kill(server.process.pid, signal.SIGSTOP)
        assert await ended_by_the_watch(server) == -signal.SIGKILL
        await server.start()
        async with Redis.from_url(server.url) as redis:
            assert await redis.get("kept") == b"7"
    finally:
        await server.stop()


@pytest.mark.parametrize("stopped", ["the postmaster alone", "all of its processes"])
async def test_a_stopped_postgres_is_killed_and_starts_again_beside_nothing_of_the_old_one(
    own_data_folder: DataFolder, stopped: str
) -> None:
    server = EmbeddedPostgres(own_data_folder.path / "postgres", own_data_folder.sockets)
    await server.start()
    connection = await asyncpg.connect(server.url)
    try:
        assert server.process is not None
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        members = family(server.process.pid)
        assert len(members) > 2
        for member in reversed(members) if stopped == "all of its processes" else members[:1]:
            os.kill(member.pid, signal.SIGSTOP)
        assert await ended_by_the_watch(server) == -signal.SIGKILL
        await server.start()
        assert not {member.pid for member in members} & {member.pid for member in family(os.getpid())}
        async with asyncio.timeout(PATIENCE_S):
            again = await asyncpg.connect(server.url)
        assert await again.fetchval("SELECT n FROM kept") == 7
        await again.close()
    finally:
        connection.terminate()
        await server.stop()


async def test_a_refusal_is_an_answer(own_data_folder: DataFolder) -> None:
    """A Valkey whose script does not end, and a PostgreSQL that has no free connection, are alive."""
    valkey = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets)
    postgres = EmbeddedPostgres(own_data_folder.path / "postgres", own_data_folder.sockets)
    await asyncio.gather(valkey.start(), postgres.start())
    try:
        async with Redis.from_url(valkey.url) as redis:
            await redis.config_set("busy-reply-threshold", 1)
            spinning = asyncio.ensure_future(redis.execute_command("EVAL", "while true do end", 0))
            async with Redis.from_url(valkey.url) as other:

                async def is_spinning() -> bool:
                    try:
                        await other.ping()
                    except ResponseError as error:
                        return "BUSY" in str(error)
                    return False

                await until(is_spinning)
                assert await valkey.answers()
                await other.script_kill()
            await asyncio.gather(spinning, return_exceptions=True)
        taken = [await asyncpg.connect(postgres.owner_url) for _ in range(57)]
        with pytest.raises(asyncpg.PostgresError):
            for _ in range(60):
                taken.append(await asyncpg.connect(postgres.owner_url))
        assert await postgres.answers()
        for connection in taken:
            connection.terminate()
    finally:
        await asyncio.gather(valkey.stop(), postgres.stop())
    assert not await valkey.answers()
    assert not await postgres.answers()


async def test_a_start_that_is_given_up_leaves_nothing_of_initdb(own_data_folder: DataFolder) -> None:
    server = EmbeddedPostgres(own_data_folder.path / "postgres", own_data_folder.sockets)
    others = {member.pid for member in family(os.getpid())}  # servers of other tests
    starting = asyncio.create_task(server.start())

    def of_this_start() -> dict[int, str]:
        found = {member.pid: member.name for member in family(os.getpid()) if member.pid not in others}
        return {pid: name for pid, name in found.items() if name in ("initdb", "postgres", "sh")}

    try:

        async def is_under_way() -> bool:
            return {"initdb", "postgres"} <= set(of_this_start().values())

        await until(is_under_way)
        made = of_this_start()
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)

    async def are_gone() -> bool:  # killed at once; init may take a moment to notice
        return not {member.pid for member in family(1)} & set(made)

    await until(are_gone)
    await server.stop()
