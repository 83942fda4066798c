"""What was deleted from the embedded PostgreSQL is in none of its files after an erasure, and nothing is rewritten in vain."""

import os

import asyncpg
import pytest
from tests.kit.client import until

from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.erasure import Erasure
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.requirement("A12.4")

WORDS = "Featherstonehaugh"


async def test_deleted_rows_are_in_no_file_of_the_cluster(own_data_folder: DataFolder) -> None:
    folder = own_data_folder.path

    def places() -> set[str]:
        found = [path for path in folder.rglob("*") if path.is_file() and WORDS.encode() in path.read_bytes()]
        return {path.relative_to(folder).parts[1] for path in found}

    log = os.open(folder / "postgres.log", os.O_CREAT | os.O_WRONLY)
    server = EmbeddedPostgres(folder / "postgres", own_data_folder.sockets, log)
    await server.start()
    erasure, connection = Erasure(server.erasure_url), await asyncpg.connect(server.url)
    try:
        await connection.execute("CREATE TABLE said (id int PRIMARY KEY, words text)")
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        rows = [(number, f"{WORDS} {number}") for number in range(100)]
        await connection.executemany("INSERT INTO said VALUES ($1, $2)", rows)
        await connection.execute("ANALYZE said")
        assert await erasure.erase() == []
        assert "pg_wal" in places()
        await connection.execute("DELETE FROM said")

        async def is_erased() -> bool:  # the server counts deletions a moment later
            return await erasure.erase() == ["said"]

        await until(is_erased)
        assert places() == set()
        assert await erasure.erase() == []
        assert await connection.fetchval("SELECT n FROM kept") == 7
    finally:
        await connection.close()
        await server.stop()
        os.close(log)


async def test_the_log_of_the_server_shows_no_row_of_a_statement_that_failed(own_data_folder: DataFolder) -> None:
    path = own_data_folder.path / "postgres.log"
    log = os.open(path, os.O_CREAT | os.O_WRONLY)
    server = EmbeddedPostgres(own_data_folder.path / "postgres", own_data_folder.sockets, log)
    await server.start()
    try:
        connection = await asyncpg.connect(server.url)
        await connection.execute("CREATE TABLE said (words text CHECK (words = ''))")
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"INSERT INTO said VALUES ('{WORDS}')")
        await connection.close()
    finally:
        await server.stop()
        os.close(log)
    assert "violates check constraint" in path.read_text()
    assert WORDS not in path.read_text()
