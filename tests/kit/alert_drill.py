"""A server, and a real Prometheus and Alertmanager beside it: tests cause an alert and wait until it is told."""

import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from redis import Redis

from agentvoicebox.cli.local_server import LocalServer, local_server
from tests.kit.client import until as until_holds
from tests.kit.monitoring import Monitoring, monitoring
from tests.kit.rules import alerts
from tests.kit.speech import share_test_models
from tests.kit.waiting import until

# Before its first scrape Prometheus misses everything, and alerts say so.
QUIET = 'count(up{{job="agentvoicebox"}} == 1) == {processes} unless on () count(ALERTS)'


class Drill:
    """One server, and what watches it."""

    def __init__(self, server: LocalServer, watch: Monitoring, store: Redis) -> None:
        self.server = server
        self.watch = watch
        self.store = store
        self.socket = server.url.replace("http", "ws", 1) + "/realtime?model=delivery"

    def pid(self, process: str) -> int:
        """Of the newest process of this name; 0: there is none."""
        files = (self.server.data_dir / "targets").glob(f"{process}-*.json")
        newest = max(files, key=lambda file: file.stat().st_mtime, default=None)
        return int(newest.stem.rpartition("-")[2]) if newest else 0

    @contextmanager
    def stopped(self, process: str) -> Iterator[None]:
        """For less than its supervisor takes to restart it."""
        pid = self.pid(process)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def filled(self, share: float) -> Iterator[None]:
        """The store's memory, by lowering its limit."""
        before = int(self.store.config_get("maxmemory")["maxmemory"] or 0)
        self.store.config_set("maxmemory", round(int(self.store.info("memory")["used_memory"]) / share))
        try:
            yield
        finally:
            self.store.config_set("maxmemory", before)

    async def told(self, state: str, alert: str, **labels: str) -> None:
        """Wait until Alertmanager has told of it: `firing` at some time, or last `resolved`."""

        def is_missing() -> bool:
            states = self.watch.receiver.states(alert, **labels)
            return "firing" not in states if state == "firing" else states[-1:] != [state]

        await until(is_missing, f"{alert} {labels} was not told to be {state}")


@asynccontextmanager
async def alert_drill(
    folder: Path, *, settings: Mapping[str, str] | None = None, has_short_windows: bool = False
) -> AsyncIterator[Drill]:
    """A server and what watches it; nothing is told at the start.

    Args:
        folder: empty; for the configuration and data of what watches.
        settings: further `AVB_…` variables of the server.
        has_short_windows: rates are taken over less than a minute, so that an alert also ends soon.
    """
    with tempfile.TemporaryDirectory(prefix="avb-drill-", ignore_cleanup_errors=True) as data:
        share_test_models(Path(data))
        async with (
            local_server(Path(data), settings=settings) as server,
            monitoring(folder, server.data_dir, hurried_alerts=alerts(), has_short_windows=has_short_windows) as watch,
        ):
            with Redis(unix_socket_path=str(server.data_dir / "run" / "valkey.sock"), decode_responses=True) as store:
                processes = len(list((server.data_dir / "targets").glob("*.json")))

                async def is_quiet() -> bool:
                    return await watch.values(QUIET.format(processes=processes)) != []

                await until_holds(is_quiet)
                yield Drill(server, watch, store)
