"""Buckets of many names in bounded memory (C11)."""

import pytest

from agentvoicebox.resilience.bucket_table import BucketTable
from agentvoicebox.resilience.token_bucket import TokenBucket

pytestmark = pytest.mark.requirement("C11")


def test_each_name_has_its_own_and_keeps_it() -> None:
    table = BucketTable(lambda: TokenBucket(1, 1))
    assert table.of("a") is table.of("a") is not table.of("b")


def test_the_name_that_was_not_used_for_the_longest_time_is_forgotten() -> None:
    table = BucketTable(lambda: TokenBucket(1, 1), most=2)
    first, second = table.of("a"), table.of("b")
    table.of("a")
    table.of("c")
    assert table.of("a") is first
    assert table.of("b") is not second


def test_what_is_given_back_never_exceeds_the_burst() -> None:
    bucket = TokenBucket(1, 10)
    bucket.take(0.0, 4)
    bucket.give_back(100)
    assert bucket.take(0.0, 10) == 0 and bucket.take(0.0, 1) == 1
