"""A database of the operator's own is reached before anything starts, and must be new enough, with the right to create tables."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.kit.kits import DELIVERY
from tests.kit.old_postgres import postgres_of_version
from tests.kit.silent_server import silent_server

from agentvoicebox.kits.migrate import is_all_migrated, migrate_all
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.storage.check import BadDatabase, check_database
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.preflight.finding import Finding
from agentvoicebox.supervisor.preflight.servers import check_postgres

pytestmark = pytest.mark.requirement("A10")

TIMEOUT_S = 20.0


async def found_at(url: str) -> Finding:
    (found,) = await check_postgres(load_settings(postgres_url=url))
    return found


@pytest.fixture
async def reader_url(postgres_server: EmbeddedPostgres, postgres_url: str) -> AsyncIterator[str]:
    """Of a role that may read all tables and create none."""
    superuser = await asyncpg.connect(postgres_server.erasure_url)
    try:
        await superuser.execute("CREATE ROLE reader LOGIN")
        await superuser.execute("ALTER DEFAULT PRIVILEGES FOR ROLE agentvoicebox GRANT SELECT ON TABLES TO reader")
        yield postgres_url.replace("agentvoicebox@", "reader@", 1)
        await superuser.execute("DROP OWNED BY reader")
        await superuser.execute("DROP ROLE reader")
    finally:
        await superuser.close()


async def test_an_empty_database_of_our_own_is_right(postgres_url: str) -> None:
    found = await found_at(postgres_url)
    assert found.state == "ok" and found.detail.startswith("PostgreSQL ")


async def test_a_role_that_may_not_create_tables_is_right_only_where_all_tables_are(
    postgres_url: str, reader_url: str
) -> None:
    found = await found_at(reader_url)
    assert found.state == "error" and found.setting == f"AVB_POSTGRES_URL={reader_url}"
    assert "the role reader may not create the tables that are missing; `GRANT CREATE ON SCHEMA" in found.sentence
    await migrate_all(postgres_url, DELIVERY)
    assert await is_all_migrated(reader_url, DELIVERY)
    assert (await found_at(reader_url)).state == "ok"


async def test_a_database_is_migrated_only_when_the_kits_tables_are_there_too(postgres_url: str) -> None:
    from agentvoicebox.storage.migrate import migrate

    await migrate(postgres_url)
    assert not await is_all_migrated(postgres_url, DELIVERY)


async def test_a_server_that_is_too_old_is_named_with_its_version() -> None:
    async with postgres_of_version("13.4") as url:
        found = await found_at(url)
    assert "PostgreSQL 13 is too old; 15 or later is needed" in found.sentence


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:hush@127.0.0.1:1/records", "connection refused"),
        ("postgresql://me:hush@/records?host=/nowhere", "No such file or directory"),
        ("postgresql://me:hush@127.0.0.1:nine/records", "the URL is invalid"),
    ],
)
async def test_a_server_that_is_not_there_is_said_with_its_address_and_without_its_password(
    url: str, said: str
) -> None:
    found = await found_at(url)
    assert found.state == "error" and found.sentence.startswith(
        f"AVB_POSTGRES_URL={url.replace('hush', '***')}: {said}"
    )
    assert "hush" not in found.sentence


async def test_a_database_that_does_not_exist_is_named(postgres_url: str) -> None:
    found = await found_at(postgres_url.replace("/agentvoicebox?", "/nowhere?"))
    assert 'database "nowhere" does not exist; create it' in found.sentence


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    with silent_server() as port, pytest.raises(BadDatabase, match=r"no answer within 0\.2 s"):
        await check_database(f"postgresql://me@127.0.0.1:{port}/records", timeout_s=0.2)
