"""The embedded servers: they come up, hold what they were told, survive a kill, and leave nothing behind."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.errors import SettingsError
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey


def leftovers(folder: DataFolder) -> list[str]:
    return sorted(path.name for path in folder.sockets.iterdir())


@pytest.mark.requirement("A1.1")
async def test_valkey_is_set_up_as_the_plan_wants_it(own_data_folder: DataFolder) -> None:
    server = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets, memory_mb=96)
    await server.start()
    try:
        async with Redis.from_url(server.url, decode_responses=True) as redis:
            wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "volatile-lru"}
            for name, value in wanted.items():
                assert (await redis.config_get(name))[name] == value
            assert int((await redis.config_get("maxmemory"))["maxmemory"] or 0) == 96 * 1024 * 1024
    finally:
        await server.stop()
    assert leftovers(own_data_folder) == []


async def test_what_valkey_acknowledged_survives_kill_9(own_data_folder: DataFolder) -> None:
    server = EmbeddedValkey(own_data_folder.path / "valkey", own_data_folder.sockets)
    await server.start()
    try:
        async with Redis.from_url(server.url) as redis:
            for number in range(100):
                await redis.rpush("kept", number)
        assert server.process is not None
        server.kill()
        await server.process.wait()
        await server.start()
        async with Redis.from_url(server.url) as redis:
            assert await redis.llen("kept") == 100
    finally:
        await server.stop()


async def test_postgres_comes_up_again_after_kill_9_with_its_rows(own_data_folder: DataFolder) -> None:
    server = EmbeddedPostgres(own_data_folder.path / "postgres", own_data_folder.sockets)
    await server.start()
    try:
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT NOT rolsuper FROM pg_roles WHERE rolname = current_user")
        await connection.execute("CREATE TABLE kept (n int)")
        await connection.execute("INSERT INTO kept VALUES (7)")
        await connection.close()
        assert server.process is not None
        server.kill()
        await server.process.wait()
        await server.start()
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT n FROM kept") == 7
        await connection.close()
    finally:
        await server.stop()
    assert leftovers(own_data_folder) == []


async def test_a_pid_file_that_names_a_stranger_harms_nobody(own_data_folder: DataFolder) -> None:
    server = EmbeddedPostgres(own_data_folder.path / "postgres", own_data_folder.sockets)
    await server.start()
    await server.stop()
    (own_data_folder.path / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    await server.start()
    await server.stop()


def test_a_data_folder_belongs_to_one_server_at_a_time(own_data_folder: DataFolder) -> None:
    with pytest.raises(SettingsError, match="in use"):
        DataFolder(own_data_folder.path)


def test_sockets_move_to_a_short_path_when_the_data_folder_is_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    folder = DataFolder(deep)
    try:
        assert len(os.fsencode(folder.sockets / ".s.PGSQL.5432.lock")) < 108
        assert folder.sockets.stat().st_mode & 0o777 == 0o700
        sockets = folder.sockets
    finally:
        folder.close()
    assert not sockets.exists()
    again = DataFolder(deep)
    assert again.sockets == sockets
    again.close()


ORPHAN_MAKER = """
import asyncio, os, sys
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey

async def main():
    folder = DataFolder(sys.argv[1])
    servers = [EmbeddedValkey(folder.path / "valkey", folder.sockets), EmbeddedPostgres(folder.path / "pg", folder.sockets)]
    for server in servers:
        await server.start()
    print(*(server.process.pid for server in servers), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_servers_die_with_a_killed_parent_and_the_next_one_starts_on_the_same_folder(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ORPHAN_MAKER, str(tmp_path / "data")), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    watched = [os.pidfd_open(pid) for pid in pids]
    parent.kill()
    await parent.wait()
    for fd in watched:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(fd, ended.set)  # a pidfd is readable once its process has ended
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
    folder = DataFolder(tmp_path / "data")
    servers: list[EmbeddedValkey | EmbeddedPostgres] = [
        EmbeddedValkey(folder.path / "valkey", folder.sockets),
        EmbeddedPostgres(folder.path / "pg", folder.sockets),
    ]
    try:
        for server in servers:
            await server.start()
    finally:
        for server in servers:
            await server.stop()
        folder.close()
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["pg", "valkey"]
