"""How often one tenant may open calls (C11)."""

import pytest

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import RateLimited
from agentvoicebox.gateway.admission.openings import Openings

pytestmark = pytest.mark.requirement("C11")


def opened(openings: Openings, tenant: str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            openings.take(tenant)
            count += 1
        except RateLimited as refusal:
            assert refusal.retry_after_s > 0
    return count


def test_all_lines_can_be_opened_at_once_and_then_the_rate_holds(manual_clock: ManualClock) -> None:
    openings = Openings(24, manual_clock)
    assert opened(openings, "acme", 200) == 48
    manual_clock.advance(2.0)
    assert opened(openings, "acme", 200) == 8


def test_a_tenant_that_opens_too_many_does_not_keep_another_out(manual_clock: ManualClock) -> None:
    openings = Openings(24, manual_clock)
    opened(openings, "acme", 500)
    assert opened(openings, "rival", 10) == 10


def test_new_calls_that_come_together_begin_one_after_the_other(manual_clock: ManualClock) -> None:
    openings = Openings(24, manual_clock)
    waits = [openings.take("acme") for _ in range(24)]
    assert waits[:3] == [0.0] * 3 and waits == sorted(waits) and 2.0 < waits[-1] < 2.5
    assert openings.take("rival") == 0.0


def test_resumed_calls_do_not_wait(manual_clock: ManualClock) -> None:
    openings = Openings(24, manual_clock)
    assert [openings.take("acme", is_new=False) for _ in range(24)] == [0.0] * 24
