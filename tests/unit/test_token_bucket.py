"""A burst passes at once, the rest at the bucket's rate."""

import pytest

from agentvoicebox.resilience.token_bucket import TokenBucket

pytestmark = pytest.mark.requirement("C11")


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    bucket = TokenBucket(10, 5)
    assert [bucket.take(0.0) for _ in range(5)] == [0.0] * 5
    assert bucket.take(0.0) == pytest.approx(0.1)
    assert bucket.take(0.1) == pytest.approx(0.1)
    assert bucket.take(10.0) == 0.0


def test_a_large_taker_waits_longer() -> None:
    bucket = TokenBucket(10, 5)
    assert bucket.take(0.0, 25) == pytest.approx(2.0)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(10, 1)
    bucket.take(5.0)
    assert bucket.take(4.0) == pytest.approx(0.1)


def test_who_takes_only_what_is_there_is_told_when_there_is_more() -> None:
    bucket = TokenBucket(10, 2)
    assert [bucket.try_take(0.0), bucket.try_take(0.0)] == [0.0, 0.0]
    assert [bucket.try_take(0.0), bucket.try_take(0.0)] == [pytest.approx(0.1)] * 2
    assert bucket.try_take(0.1) == 0.0


def test_no_rate_is_no_limit() -> None:
    bucket = TokenBucket(0, 0)
    assert [bucket.take(0.0, 10**9) for _ in range(3)] == [0.0] * 3
