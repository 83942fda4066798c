"""Thousands of bent bodies: every answer is one that may be, and no line of the log tells what it must not."""

import pytest
from benchmarks.webhook_fuzz import fuzz

from agentvoicebox.telemetry.logs import configure

pytestmark = pytest.mark.requirement("A12.4", "B1.1")


@pytest.fixture(autouse=True)
def _own_log() -> object:
    yield
    configure(service="tests")


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_body_breaks_the_webhook_server_or_its_silence(seed: int) -> None:
    report = await fuzz(2_000, seed, settings={"strict_422": seed == 2})
    assert report.broken == []
    assert report.leaks == []
    assert {"200", "401", "405", "415", "422"} <= report.statuses.keys()
