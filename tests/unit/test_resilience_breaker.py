"""The breaker opens, waits, probes and closes; waits grow and end; the window forgets."""

import pytest

from agentvoicebox.resilience.backoff import Backoff
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy, BreakerState
from agentvoicebox.resilience.window import Window

POLICY = BreakerPolicy(failures_to_open=3, open_s=30.0, probe_s=10.0)


def opened(now_s: float = 0.0) -> Breaker:
    breaker = Breaker(POLICY)
    for _ in range(3):
        breaker = breaker.failed(now_s)
    return breaker


def test_it_opens_at_the_last_failure_of_a_row_and_not_before() -> None:
    breaker = Breaker(POLICY).failed(0.0).failed(0.0)
    assert breaker.state(0.0) is BreakerState.CLOSED and breaker.admit(0.0)[1]
    assert breaker.failed(0.0).state(0.0) is BreakerState.OPEN


def test_a_success_breaks_the_row() -> None:
    breaker = Breaker(POLICY).failed(0.0).failed(0.0).succeeded().failed(0.0).failed(0.0)
    assert breaker.state(0.0) is BreakerState.CLOSED


def test_an_open_breaker_lets_nobody_through_until_its_time() -> None:
    breaker = opened()
    assert not breaker.admit(29.9)[1]
    assert breaker.retry_after_s(10.0) == pytest.approx(20.0)


def test_half_open_one_probe_at_a_time_goes_out() -> None:
    breaker, is_admitted = opened().admit(30.0)
    assert is_admitted and breaker.state(30.0) is BreakerState.HALF_OPEN
    assert not breaker.admit(30.1)[1]
    assert breaker.admit(40.0)[1], "a probe that was never heard of again is given up"
    assert breaker.released().admit(30.1)[1], "a cancelled probe makes room for another"


def test_a_good_probe_closes_and_a_bad_one_opens_for_the_whole_time_again() -> None:
    breaker, _ = opened().admit(30.0)
    assert breaker.succeeded().state(30.0) is BreakerState.CLOSED
    again = breaker.failed(31.0)
    assert again.state(60.9) is BreakerState.OPEN and again.state(61.0) is BreakerState.HALF_OPEN


def test_waits_grow_to_the_longest_and_then_the_tries_are_over() -> None:
    backoff = Backoff(first_s=0.1, factor=2.0, longest_s=0.3, tries=5)
    assert [backoff.wait_s(each) for each in range(1, 6)] == [0.1, 0.2, 0.3, 0.3, None]


def test_chance_shortens_a_wait_by_no_more_than_the_spread() -> None:
    backoff = Backoff(first_s=1.0, tries=9, longest_s=9.0, spread=0.5)
    assert backoff.wait_s(1, 0.0) == 1.0 and backoff.wait_s(1, 1.0) == 0.5
    assert backoff.wait_s(8, 0.0) == 9.0
    assert Backoff(tries=1 << 60).wait_s(100_000) == 2.0


def test_the_window_counts_what_is_recent_and_forgets_the_rest() -> None:
    window = Window(length_s=60.0, slot_count=6)
    for now_s in (0.0, 15.0, 30.0):
        window = window.add(now_s, is_failure=now_s == 15.0)
    assert window.counts(30.0) == (3, 1)
    assert window.counts(65.0) == (2, 1)
    assert window.counts(200.0) == (0, 0)


def test_the_window_stays_small_however_much_happens() -> None:
    window = Window(length_s=10.0, slot_count=5)
    for each in range(5_000):
        window = window.add(each * 0.01, is_failure=False)
    assert len(window.slots) <= 5
