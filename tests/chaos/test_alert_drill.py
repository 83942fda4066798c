"""Real causes on a real server; a real Prometheus and Alertmanager tell of each and, where its window is short, of its end.

Opt-in, since it takes three minutes: `make alert-drill`. `tests/integration/test_prometheus_rules.py` shows every alert.
"""

import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from redis import Redis
from tests.kit.client import calling
from tests.kit.client import until as until_holds
from tests.kit.monitoring import Monitoring, monitoring
from tests.kit.rules import alerts, needs_prometheus
from tests.kit.speech import share_models
from tests.kit.waiting import until
from websockets.exceptions import WebSocketException

from agentvoicebox.cli.local_server import LocalServer, local_server

pytestmark = [
    pytest.mark.requirement("A13"),
    needs_prometheus,
    pytest.mark.skipif(not os.environ.get("ALERT_DRILL"), reason="takes three minutes: make alert-drill"),
]

REFUSED_CALLS = 30
# Before its first scrape Prometheus misses everything, and alerts say so.
QUIET = 'count(up{job="agentvoicebox"} == 1) == 6 unless on () count(ALERTS)'


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


@pytest.fixture
async def drill(tmp_path: Path) -> AsyncIterator[Drill]:
    async with _drill(tmp_path) as running:
        yield running


@asynccontextmanager
async def _drill(folder: Path) -> AsyncIterator[Drill]:
    with tempfile.TemporaryDirectory(prefix="avb-drill-", ignore_cleanup_errors=True) as data:
        share_models(Path(data))
        async with (
            local_server(Path(data)) as server,
            monitoring(folder, server.data_dir, hurried_alerts=alerts()) as watch,
        ):
            with Redis(unix_socket_path=str(server.data_dir / "run" / "valkey.sock"), decode_responses=True) as store:

                async def is_quiet() -> bool:
                    return await watch.values(QUIET) != []

                await until_holds(is_quiet)
                yield Drill(server, watch, store)


async def test_a_stopped_gateway_is_told_of(drill: Drill) -> None:
    with drill.stopped("gateway"):
        await drill.told("firing", "NoGateway")
    await drill.told("resolved", "NoGateway")


async def test_a_stopped_worker_and_the_work_that_waits_for_it_are_told_of(drill: Drill) -> None:
    async with calling(drill.socket) as client:
        with drill.stopped("worker"):
            await client.send("response.create")
            await drill.told("firing", "TargetDown", process="worker")
            await drill.told("firing", "WorkersMissing", kind="llm")
            await drill.told("firing", "JanitorNotRunning")
            await drill.told("firing", "QueueOld", kind="llm")
    await drill.told("resolved", "TargetDown", process="worker")
    await drill.told("resolved", "WorkersMissing", kind="llm")
    await drill.told("resolved", "JanitorNotRunning")
    await drill.told("resolved", "QueueOld", kind="llm")


async def test_a_worker_that_hangs_is_told_of_until_its_supervisor_has_restarted_it(drill: Drill) -> None:
    with drill.stopped("speech"):
        await drill.told("firing", "ChildDown", child="speech")
        await drill.told("firing", "ServiceDegraded", mode="speech_recognition_unavailable")
    await drill.told("resolved", "ChildDown", child="speech")
    await drill.told("resolved", "ServiceDegraded", mode="speech_recognition_unavailable")


async def test_a_store_that_fills_and_the_calls_that_it_costs_are_told_of(drill: Drill) -> None:
    with drill.filled(0.8):
        await drill.told("firing", "StoreFilling")
        for _ in range(REFUSED_CALLS):
            with pytest.raises((WebSocketException, AssertionError)):
                async with calling(drill.socket):
                    raise AssertionError("the call was taken")
        await drill.told("firing", "RefusedCallBudgetBurn")
    await drill.told("resolved", "StoreFilling")
    with drill.filled(0.95):
        await drill.told("firing", "StoreNearlyFull")
        await drill.told("firing", "ServiceDegraded", mode="store_full")
    await drill.told("resolved", "StoreNearlyFull")
    await drill.told("resolved", "ServiceDegraded", mode="store_full")


async def test_a_process_that_dies_again_and_again_is_told_of(drill: Drill) -> None:
    killed: set[int] = set()

    def is_gone() -> bool:
        return drill.pid("webhook") in {0, *killed}

    for _ in range(4):
        await until(is_gone, "the webhook server was not restarted")
        killed.add(pid := drill.pid("webhook"))
        os.kill(pid, signal.SIGKILL)
    await drill.told("firing", "ChildRestarting", child="webhook")
