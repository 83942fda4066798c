"""A process is ready only if all of it can work, and says what is missing."""

import asyncio

import pytest

from agentvoicebox.clock import ManualClock
from agentvoicebox.telemetry.process_report import ANSWER_FOR_S, CheckResult, ProcessReport

pytestmark = pytest.mark.requirement("A13", "B3.1-3.3")


class Store:
    """What a role needs; a test sets its state."""

    def __init__(self) -> None:
        self.state = CheckResult()
        self.asked = 0

    async def check(self) -> CheckResult:
        self.asked += 1
        return self.state


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def report(clock: ManualClock, store: Store) -> ProcessReport:
    made = ProcessReport("worker", clock=clock)
    made.serves("llm")
    made.needs("store", store.check)
    return made


async def test_it_is_starting_until_each_role_is_ready(report: ProcessReport) -> None:
    report.serves("tool")
    report.is_ready("llm")
    status, body = await report.readiness()
    assert (status, body["status"]) == (503, "starting")
    assert body["roles"] == {"llm": "ready", "tool": "starting"}
    report.is_ready("tool")
    assert (await report.readiness())[0] == 200


@pytest.mark.parametrize(
    ("state", "status", "word"),
    [
        (CheckResult(), 200, "ready"),
        (CheckResult("away", "records wait"), 200, "degraded"),
        (CheckResult("down", "the store is away"), 503, "not ready"),
    ],
)
async def test_it_is_ready_if_what_it_needs_is(
    report: ProcessReport, store: Store, state: CheckResult, status: int, word: str
) -> None:
    report.is_ready("llm")
    store.state = state
    answer = await report.readiness()
    shown = {"status": state.status} | ({"reason": state.reason} if state.reason else {})
    assert answer == (status, {"status": word, "roles": {"llm": "ready"}, "dependencies": {"store": shown}})


async def test_a_process_that_drains_is_not_ready(report: ProcessReport) -> None:
    report.is_ready("llm")
    report.leaving.set()
    status, body = await report.readiness()
    assert (status, body["status"]) == (503, "leaving")


async def test_many_who_ask_at_once_cost_one_check(report: ProcessReport, store: Store, clock: ManualClock) -> None:
    await asyncio.gather(*(report.readiness() for _ in range(50)))
    assert store.asked == 1
    clock.advance(ANSWER_FOR_S)
    await report.readiness()
    assert store.asked == 2


async def test_a_check_that_fails_makes_it_unready_without_its_message(report: ProcessReport) -> None:
    async def broken() -> CheckResult:
        raise RuntimeError("words of a caller")

    report.is_ready("llm")
    report.needs("other", broken)
    status, body = await report.readiness()
    assert status == 503
    assert body["dependencies"]["other"] == {"status": "down", "reason": "RuntimeError"}
