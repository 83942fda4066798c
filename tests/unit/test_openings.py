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
