"""Real causes on a real server; a real Prometheus and Alertmanager tell of each and, where its window is short, of its end.

Opt-in: `make alert-drill`. `tests/integration/test_prometheus_rules.py` shows every alert.
"""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.kit.alert_drill import Drill, alert_drill
from tests.kit.client import calling
from tests.kit.rules import needs_prometheus
from tests.kit.waiting import until
from websockets.exceptions import WebSocketException

pytestmark = [
    pytest.mark.requirement("A13"),
    needs_prometheus,
    pytest.mark.skipif(not os.environ.get("ALERT_DRILL"), reason="takes fifteen minutes: make alert-drill"),
]

REFUSED_CALLS = 30


@pytest.fixture
async def drill(tmp_path: Path) -> AsyncIterator[Drill]:
    async with alert_drill(tmp_path) as running:
        yield running


async def test_a_stopped_gateway_is_told_of(drill: Drill) -> None:
    with drill.stopped("gateway"):
        await drill.told("firing", "NoGateway")
    await drill.told("resolved", "NoGateway")


async def test_a_stopped_worker_and_the_work_that_waits_for_it_are_told_of(drill: Drill) -> None:
    async with calling(drill.socket) as client:
        with drill.stopped("worker"):
            await drill.told("firing", "TargetDown", process="worker")
            await client.send("response.create")  # now no read of the worker's is open that could take the job
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
