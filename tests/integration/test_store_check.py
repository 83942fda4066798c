"""A store of the operator's own is reached before anything starts, and each setting of it that falls short is named."""

from pathlib import Path

import pytest
from tests.kit.silent_server import silent_server
from tests.kit.store import ValkeyNode

from agentvoicebox.broker.connection import Connection
from agentvoicebox.broker.store_check import BadStore, check_store, shortcomings
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.preflight.servers import check_redis

pytestmark = pytest.mark.requirement("A1.1")

TIMEOUT_S = 20.0


async def warned_of(url: str) -> list[str]:
    """The settings that a start over this store warns of."""
    return [
        each.detail.partition(" ")[0] for each in await check_redis(Settings(redis_url=url)) if each.state == "warning"
    ]


async def test_each_setting_that_falls_short_is_named(tmp_path: Path) -> None:
    server = ValkeyNode(tmp_path)
    await server.start()
    try:
        assert await warned_of(server.url) == ["appendonly", "maxmemory", "maxmemory-policy"]
        server.ask("CONFIG", "SET", "appendonly", "yes", "maxmemory", "64mb")
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert await warned_of(server.url) == ["maxmemory-policy"]
        server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
        (found,) = await check_redis(Settings(redis_url=server.url))
        assert (found.state, found.detail) == ("ok", server.url)
    finally:
        await server.kill()


async def test_our_own_server_and_our_cluster_are_as_they_should_be(store_url: str) -> None:
    connection = Connection(store_url)
    assert await shortcomings(connection) == []
    await connection.close()
    assert await check_store(store_url, timeout_s=TIMEOUT_S) == []


async def test_a_wrong_password_is_said_and_shown_nowhere(tmp_path: Path) -> None:
    server = ValkeyNode(tmp_path)
    await server.start()
    server.ask("CONFIG", "SET", "requirepass", "right")
    try:
        for user_info in (":hush@", ""):
            url = server.url.replace("redis://", f"redis://{user_info}")
            with pytest.raises(BadStore, match="refuses the user or the password"):
                await check_store(url, timeout_s=TIMEOUT_S)
            (found,) = await check_redis(Settings(redis_url=url))
            assert found.state == "error" and "hush" not in found.sentence
            assert found.sentence.startswith(
                f"AVB_REDIS_URL=redis://{':***@' if user_info else ''}127.0.0.1:{server.port}/0: "
            )
    finally:
        await server.kill()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:1/0", "connection refused"),
        ("redis+cluster://127.0.0.1:1", "no node of the cluster can be reached"),
        ("unix:///nowhere/store.sock", "No such file or directory"),
        ("redis://127.0.0.1:nine/0", "the URL is invalid; it should look like redis://host:6379/0"),
    ],
)
async def test_a_store_that_is_not_there_is_said_with_its_address(url: str, said: str) -> None:
    (found,) = await check_redis(Settings(redis_url=url))
    assert found.state == "error" and found.sentence.startswith(f"AVB_REDIS_URL={url}: {said}; ")


async def test_a_store_that_does_not_answer_is_given_up() -> None:
    with silent_server() as port, pytest.raises(BadStore, match=r"no answer within 0\.2 s"):
        await check_store(f"redis://127.0.0.1:{port}/0", timeout_s=0.2)


async def test_one_server_that_is_addressed_as_a_cluster_is_said(tmp_path: Path) -> None:
    server = ValkeyNode(tmp_path)
    await server.start()
    try:
        with pytest.raises(BadStore, match="AVB_REDIS_URL should begin with redis://"):
            await check_store(server.url.replace("redis://", "redis+cluster://"), timeout_s=TIMEOUT_S)
    finally:
        await server.kill()
