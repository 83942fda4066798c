"""A store of the operator's own that falls short is said to, by the name of each setting; a good one is not."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.kit.store import ValkeyNode

from agentvoicebox.broker.connection import Connection
from agentvoicebox.broker.store_check import shortcomings
from agentvoicebox.settings import Settings
from agentvoicebox.supervisor.run import Supervisor

pytestmark = pytest.mark.requirement("A1.1")

MESSAGE = "the store is not set up as calls need it"


async def warned_of(url: str) -> list[str]:
    """The settings that starting a system over this store warns of."""
    with capture_logs() as logs:
        supervisor = Supervisor(Settings(redis_url=url), on_status=lambda _: None, children=(), is_whole=False)
        try:
            await supervisor.start()
        finally:
            await supervisor.stop()
    return [log["setting"] for log in logs if log["event"] == MESSAGE and log["log_level"] == "warning"]


async def test_each_setting_that_falls_short_is_named(tmp_path: Path) -> None:
    server = ValkeyNode(tmp_path)
    await server.start()
    try:
        assert await warned_of(server.url) == ["appendonly", "maxmemory", "maxmemory-policy"]
        server.ask("CONFIG", "SET", "appendonly", "yes", "maxmemory", "64mb")
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert await warned_of(server.url) == ["maxmemory-policy"]
        server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
        assert await warned_of(server.url) == []
    finally:
        await server.kill()


async def test_our_own_server_and_our_cluster_are_as_they_should_be(store_url: str) -> None:
    connection = Connection(store_url)
    assert await shortcomings(connection) == []
    await connection.close()


async def test_a_store_that_is_away_is_not_judged() -> None:
    assert await warned_of("redis://127.0.0.1:1/0") == []
