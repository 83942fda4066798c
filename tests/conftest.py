"""Real servers for tests, and the watch that fails a test which leaves something behind.

`redis_url` and `postgres_url` are fresh for each test; their servers run once a session on temporary folders. An async test
fails when it leaves a task, a connection to Valkey, or a key without a time to live.
"""

import asyncio
import inspect
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import settings

from agentvoicebox.broker import keys
from agentvoicebox.clock import ManualClock
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox_delivery.sources.demo_data import seed
from tests.kit.kits import migrate
from tests.kit.logs import unchanged_logging
from tests.kit.store import ValkeyCluster, connections_to, looking_into
from tests.kit.waiting import PATIENCE_S, settled

KEPT = ("AVB_CHAOS_KILLS", "AVB_MODELS_DIR")  # meant for the tests
COLOURS = ("FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "JUPYTER_COLUMNS")

# Commands print as on a plain terminal that is wide, and settings are the defaults, whatever this machine's environment says.
os.environ["COLUMNS"] = "200"
for name in [name for name in os.environ if name in COLOURS or (name.startswith("AVB_") and name not in KEPT)]:
    del os.environ[name]

# Servers of tests start without measuring the engines, and so take the usual number of calls.
os.environ["AVB_SELF_TEST"] = "false"

# A landing sees the same worlds each time; `explore` draws new ones (see CONTRIBUTING.md).
settings.register_profile("land", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "land"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the watch over tasks around each async test, and around its fixtures."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.insert(0, "no_leaked_task")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the seed of the order, which quiet runs leave out of their header."""
    seed = str(config.getoption("random_order_seed", "")).removeprefix("default:")
    terminalreporter.write_line(f"order of tests: --random-order-seed={seed}")


@pytest.fixture
async def no_leaked_task() -> AsyncIterator[None]:
    """Fail a test that ends with tasks of its own still running."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)  # one turn for done callbacks
    leaked = {task for task in asyncio.all_tasks() - before if not task.done()} - {asyncio.current_task()}
    for task in leaked:
        task.cancel()
    await asyncio.gather(*leaked, return_exceptions=True)
    assert not leaked, f"the test left tasks behind: {sorted(task.get_name() for task in leaked)}"


@pytest.fixture(autouse=True)
def logging_is_left_alone() -> Iterator[None]:
    """A command under test sets up the logs of its process, which is the tests' own: afterwards they are as before."""
    with unchanged_logging():
        yield


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that moves when the test says so."""
    return ManualClock()


class ServerLoop:
    """A loop in a thread of its own, so that servers start and stop whether or not a test's loop is running."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="servers", daemon=True)
        self._thread.start()

    def run(self, what: Coroutine[Any, Any, None]) -> None:
        """Run it to its end."""
        asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=2 * PATIENCE_S)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def server_loop() -> Iterator[ServerLoop]:
    """Starts and stops the servers of this session."""
    loop = ServerLoop()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    """Where the servers of this session live."""
    folder = DataFolder(tmp_path_factory.mktemp("servers"))
    yield folder
    folder.close()


@pytest.fixture(scope="session")
def valkey_server(server_loop: ServerLoop, data_folder: DataFolder) -> Iterator[EmbeddedValkey]:
    """One real Valkey for all tests. A test that kills its server starts one of its own."""
    server = EmbeddedValkey(data_folder.path / "valkey", data_folder.sockets)
    server_loop.run(server.start())
    yield server
    server_loop.run(server.stop())


@pytest.fixture(scope="session")
def postgres_server(server_loop: ServerLoop, data_folder: DataFolder) -> Iterator[EmbeddedPostgres]:
    """One real PostgreSQL for all tests."""
    server = EmbeddedPostgres(data_folder.path / "postgres", data_folder.sockets)
    server_loop.run(server.start())
    yield server
    server_loop.run(server.stop())


@pytest.fixture(scope="session")
def valkey_cluster(server_loop: ServerLoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """One real cluster of three nodes for all tests. A test that kills a node starts a cluster of its own."""
    cluster = ValkeyCluster(tmp_path_factory.mktemp("cluster"))
    server_loop.run(cluster.start())
    yield cluster
    server_loop.run(cluster.stop())


@pytest.fixture
def redis_url(valkey_server: EmbeddedValkey) -> Iterator[str]:
    """An empty Valkey. Fails a test that leaves a connection open or a key without a time to live."""
    with emptied(valkey_server.url) as url:
        yield url


@pytest.fixture
def cluster_url(valkey_cluster: ValkeyCluster) -> Iterator[str]:
    """An empty cluster of three nodes, watched as `redis_url` is."""
    with emptied(valkey_cluster.url) as url:
        yield url


@pytest.fixture(params=["redis_url", "cluster_url"], ids=["valkey", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str:
    """For tests of what must hold on either kind of store."""
    return str(request.getfixturevalue(request.param))


def _may_last(key: str, live: set[str]) -> bool:
    session = keys.session_of(key)
    if session is None:
        return key in keys.WITHOUT_TTL
    return f"{session.tenant_id}/{session.session_id}" in live


@contextmanager
def emptied(url: str) -> Iterator[str]:
    """A store without a key, watched until the end."""
    with looking_into(url) as store:
        store.flushall()
        known = connections_to(store)
        yield url
        live = set(map(str, store.zrange(keys.LIVE_SESSIONS, 0, -1)))  # the janitor's, should their gateways be gone
        lasting = [key for key in store.scan_iter() if store.ttl(key) == -1 and not _may_last(key, live)]
        # The store may see a little later that a connection was closed.
        left = settled(lambda: [command for client, command in connections_to(store).items() if client not in known])
        store.flushall()
    assert not lasting, f"the test left keys without a time to live: {sorted(lasting)}"
    assert not left, f"the test left connections: {left}"


@pytest.fixture
def postgres_url(postgres_server: EmbeddedPostgres, server_loop: ServerLoop) -> str:
    """An empty database, owned by the role that the URL names."""

    async def renew() -> None:
        owner = await asyncpg.connect(postgres_server.owner_url)
        try:
            await owner.execute("DROP DATABASE IF EXISTS agentvoicebox WITH (FORCE)")
            await owner.execute("CREATE DATABASE agentvoicebox OWNER agentvoicebox")
        finally:
            await owner.close()

    server_loop.run(renew())
    return postgres_server.url


@pytest.fixture
def own_data_folder(tmp_path: Path) -> Iterator[DataFolder]:
    """A data folder for a test that starts and kills its own servers."""
    folder = DataFolder(tmp_path / "data")
    yield folder
    folder.close()


@pytest.fixture(scope="session")
def parcels_url(postgres_server: EmbeddedPostgres, server_loop: ServerLoop) -> str:
    """A database that holds the demo parcels, once a session; tests read it and leave it as it is."""
    url = postgres_server.url.replace("/agentvoicebox?", "/parcels?")

    async def fill() -> None:
        owner = await asyncpg.connect(postgres_server.owner_url)
        try:
            await owner.execute("CREATE DATABASE parcels OWNER agentvoicebox")
        finally:
            await owner.close()
        await migrate(url)
        postgres = await Postgres.open(url)
        await seed(postgres, DEFAULT_TENANT)
        await postgres.close()

    server_loop.run(fill())
    return url
